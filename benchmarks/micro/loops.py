"""The loops that are compared, by the module that has their ``new_event_loop``."""

import asyncio
import importlib
import importlib.util
from collections.abc import Callable

LOOPS = ("asyncio", "uvloop", "rloop", "aiofastnet", "fastaio")
TRANSPORTS_ONLY = ("aiofastnet",)
"""Transports of their own on another's loop: they run the rows of sockets only."""
BARE = "libuv"
"""The C echo server beside them; it runs the rows of sockets only."""


def factory(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    if name == "aiofastnet":
        # On the faster of the loops it can be laid over.
        import aiofastnet
        import uvloop

        over: Callable[[], asyncio.AbstractEventLoop] = aiofastnet.loop_factory(
            uvloop.new_event_loop
        )
        return over
    made: Callable[[], asyncio.AbstractEventLoop] = importlib.import_module(name).new_event_loop
    return made


def is_here(name: str) -> bool:
    module = "fastaio._core" if name == "fastaio" else name
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:
        return False
