"""A scheduler and a worker in one process, which a test can kill. The argument is the scheduler's port.

It ends with its stdin, so that it does not outlive a test that is killed.
"""

import asyncio
import sys

import distributed


async def main(port: int) -> None:
    async with (
        distributed.Scheduler(host="127.0.0.1", port=port, dashboard=False) as scheduler,
        distributed.Worker(scheduler.address, nthreads=2, dashboard=False),
    ):
        sys.stdout.write(f"{scheduler.address}\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
