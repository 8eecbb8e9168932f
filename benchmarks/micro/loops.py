"""The loops that are compared, by the module that has their ``new_event_loop``."""

import asyncio
import importlib
import importlib.util
from collections.abc import Callable

LOOPS = ("asyncio", "uvloop", "rloop", "fastaio")
BARE = "libuv"
"""The C echo server beside them; it runs the rows of sockets only."""


def factory(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    made: Callable[[], asyncio.AbstractEventLoop] = importlib.import_module(name).new_event_loop
    return made


def is_here(name: str) -> bool:
    module = "fastaio._core" if name == "fastaio" else name
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:
        return False
