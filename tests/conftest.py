"""What all tests share."""

import asyncio

# pytest-asyncio asks for the main thread's event loop, which would be made, and never closed, to answer it.
asyncio.set_event_loop(None)
