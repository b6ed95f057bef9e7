"""`pytest -p tests.on_uvloop` runs tests on the event loop that servers run on, which takes about a third less CPU."""

import asyncio

import uvloop

asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
