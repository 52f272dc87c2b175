"""A listing of pages L over a wire with 20 ms and 100 ms of latency, against fetching its bytes alone.

    python benchmarks/walk.py [--quick]

Fetching alone knows every cursor beforehand, asks for one page after the other and decodes nothing: what any client
needs that reads one listing. The decoders alone, on a page's bytes that are at hand, show the other limit: however well
waiting is hidden, nobody is faster than the processor's work.
"""

import asyncio
import gc
import time

import server
from contenders import BARE, CLIENTS, DECODERS, GENERATED, PYDANTIC, REQUESTS, Aiohttp, open_all
from harness import FLOOR, VINIX, Options, Report, Samples, interleaved, main
from pages import body

ALONE = "fetching alone"
DECODING = {f"{name}, the bytes at hand": DECODERS[name] for name in (FLOOR, VINIX)}
PAGES = 20
ROUNDS = {20: 5, 100: 4}
SLOW = [PYDANTIC, GENERATED, REQUESTS]
"""Measured once, over a quarter of the pages, at 20 ms: they are far behind."""


class Alone(Aiohttp):
    """Fetches every page of ``server.py`` and looks at none."""

    async def walk(self, account_id: str) -> None:
        for page in range(int(account_id.rpartition(".")[2])):
            await self.fetch(account_id, str(page) if page else None)


async def compare(url: str, latency: int, pages: int, rounds: int) -> tuple[Samples, Samples]:
    """Seconds for a page at one latency, and CPU seconds of them."""
    wall, cpu = Samples(), Samples()
    async with open_all(url, {ALONE: Alone} | CLIENTS) as clients:
        page = body("L")

        async def walk(name: str, pages: int) -> None:
            await asyncio.sleep(0.1)  # what the one before has left to be freed is freed at its own expense
            gc.collect()
            begun, worked = time.perf_counter(), time.process_time()
            if decode := DECODING.get(name):
                for _ in range(pages):
                    decode(page)
            else:
                await clients[name].walk(f"L.{latency}.{pages}")
                wall.add(name, (time.perf_counter() - begun) / pages)
            cpu.add(name, (time.process_time() - worked) / pages)

        await clients[BARE].walk(f"L.0.{pages}")  # imports, the server's pages
        gc.freeze()
        for name in interleaved([ALONE, VINIX, BARE, *DECODING], rounds):
            await walk(name, pages)
        for name in SLOW if latency == 20 else []:
            await walk(name, max(1, pages // 4))
    return wall, cpu


def measure(options: Options) -> Report:
    """Both latencies."""
    report = Report()
    rows = {name: [name] for name in [ALONE, VINIX, BARE, *SLOW, *DECODING]}
    with server.running() as url:
        for latency, rounds in ROUNDS.items():
            size = (2, 1) if options.quick else (PAGES, rounds)
            wall, cpu = asyncio.run(compare(url, latency, *size))
            for name, row in rows.items():
                if name in wall:
                    ratio = wall.ratio(name, ALONE)
                    report.figures[f"walk {latency} {name}"] = ratio
                    row.extend([f"{wall.median(name) * 1000:.1f}", f"{ratio:.2f}"])
                else:
                    row.extend(["", ""])
                row.append(f"{cpu.median(name) * 1000:.1f}" if name in cpu else "")
    report.table(["ms for a page", "20 ms", "×", "CPU", "100 ms", "×", "CPU"], list(rows.values()))
    return report


if __name__ == "__main__":
    main("walk", measure)
