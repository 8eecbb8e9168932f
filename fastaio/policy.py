"""Ways to put the loop in place: run(), new_event_loop(), and the policy for older programs."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Coroutine
from typing import Any, TypeVar

from . import nested
from .loop import Loop

__all__ = ["EventLoopPolicy", "install", "new_event_loop", "run"]

T = TypeVar("T")


def new_event_loop() -> Loop:
    """A new loop; the factory to give to ``asyncio.Runner(loop_factory=...)`` and servers."""
    return Loop()


def run(main: Coroutine[Any, Any, T], *, debug: bool | None = None) -> T:
    """Run a coroutine to its end on a new loop, as ``asyncio.run`` does; returns its result.

    Where a loop that allows nested runs is running, that one runs the coroutine.
    """
    running = asyncio._get_running_loop()
    if isinstance(running, Loop) and running._allows_nested:
        return nested.run(running, main, debug)
    if running is not None:
        # asyncio: runners.run
        raise RuntimeError("asyncio.run() cannot be called from a running event loop")
    with asyncio.Runner(debug=debug, loop_factory=new_event_loop) as runner:
        return runner.run(main)


# Python 3.14 renames the class and 3.16 ends policies.
_Policy: Any = getattr(
    asyncio.unix_events,
    "_DefaultEventLoopPolicy",
    getattr(asyncio.unix_events, "_UnixDefaultEventLoopPolicy", None),
)


# 3.14 deprecates the public name, and its own code uses another.
_get_policy: Any = getattr(
    asyncio.events,
    "_get_event_loop_policy",
    getattr(asyncio.events, "get_event_loop_policy", None),
)


def has_own_policy() -> bool:
    """Whether the program has set an event loop policy: new loops are its matter then."""
    return _get_policy is not None and type(_get_policy()) is not _Policy


class EventLoopPolicy(_Policy or object):  # type: ignore[misc]
    """asyncio's default policy with our loop, for programs that still set a policy.

    Raises RuntimeError where Python has no policies any more (3.16).
    """

    _loop_factory = Loop

    if _Policy is None:

        def __init__(self) -> None:
            raise RuntimeError("this Python has no event loop policies: use fastaio.run()")


def install() -> None:
    """Make ours the loop that asyncio.new_event_loop() and asyncio.run() create.

    For Python before 3.16; ``fastaio.run()`` and ``loop_factory=`` work everywhere.
    """
    with warnings.catch_warnings():
        # 3.14 deprecates the call; whoever calls us has asked for it.
        warnings.simplefilter("ignore", DeprecationWarning)
        asyncio.set_event_loop_policy(EventLoopPolicy())
