"""Runs inside of a run, for notebooks and for synchronous code that is called from coroutines."""

from __future__ import annotations

import asyncio
import inspect
from asyncio import events, tasks
from asyncio.base_events import _run_until_complete_cb  # type: ignore[attr-defined]
from collections.abc import Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from . import _core

if TYPE_CHECKING:
    from .loop import Loop

__all__ = ["allow_nested", "is_nested", "run", "run_forever", "run_until_complete"]

T = TypeVar("T")


def allow_nested(loop: asyncio.AbstractEventLoop | None = None) -> None:
    """Let callbacks and coroutines of a loop (default: the running one) run it themselves.

    Afterwards ``loop.run_until_complete()``, ``loop.run_forever()`` and ``fastaio.run()`` may be
    called where the loop is running: they take turns of it, in which everything goes on, until they
    are done. It cannot be taken back.

    Raises TypeError for a loop that is not fastaio's, RuntimeError where none is given or running.
    """
    from .loop import Loop

    if loop is None:
        loop = events.get_running_loop()
    if not isinstance(loop, Loop):
        raise TypeError(f"loop must be a fastaio.Loop, not {type(loop).__name__}")
    loop._allows_nested = True


def is_nested(loop: Loop) -> bool:
    """Would running the loop here and now be a nested run, and one that is allowed?"""
    return loop._allows_nested and events._get_running_loop() is loop


def _swap_current_tasks(loop: Loop, found: tuple[Any, Any]) -> tuple[Any, Any]:
    """Exchange what asyncio.current_task() finds: a task in C, and one in Python beside it, which
    is known elsewhere from 3.14 on.
    """
    current: dict[Any, Any] = tasks._current_tasks  # type: ignore[attr-defined]
    in_c, in_python = None, current.pop(loop, None)
    if _core.CURRENT_TASKS_SWAP:
        in_c = tasks._swap_current_task(loop, found[0])  # type: ignore[attr-defined]
    if found[1] is not None:
        current[loop] = found[1]
    return in_c, in_python


def _outermost(loop: Loop) -> list[asyncio.Future[Any]]:
    """What the run round all nested ones is to complete, if anything."""
    if loop._outermost is not None:
        return [loop._outermost]
    # It began before nesting was allowed: only its mark on a task tells.
    return [task for task in tasks.all_tasks(loop) if _is_marked(task)]


def _is_marked(task: Any) -> bool:
    return any(call[0] is _run_until_complete_cb for call in task._callbacks or ())


class _Turns:
    """The turns of one nested run; ends of others' runs that come about in them are passed on."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.outside = list(loop._awaited)
        self.outermost = _outermost(loop)
        self.stopped = False  # stop() was called, by whomever
        self.for_outermost = False  # that was the end of the outermost run

    def take(self) -> None:
        """Take turns until the loop is stopped, or a nested run further out is at its end."""
        if self.loop._run_nested():
            self.stopped = True
            self.for_outermost = any(future.done() for future in self.outermost)

    def __enter__(self) -> _Turns:
        self.handle = self.loop._current_handle
        self.tasks = _swap_current_tasks(self.loop, (None, None))
        return self

    def __exit__(self, *exc: object) -> None:
        _swap_current_tasks(self.loop, self.tasks)
        self.loop._current_handle = self.handle
        if self.for_outermost:
            self.loop.stop()
        elif any(future.done() for future in self.outside):
            self.loop._stopping = True


def run_forever(loop: Loop) -> None:
    """``loop.run_forever()`` inside a run: until stop() is called."""
    with _Turns(loop) as turns:
        while not turns.stopped:
            turns.take()


def run_until_complete(loop: Loop, future: Any) -> Any:
    """``loop.run_until_complete(future)`` where nesting is allowed, inside a run or not."""
    new_task = not asyncio.isfuture(future)
    future = tasks.ensure_future(future, loop=loop)
    if new_task:
        future._log_destroy_pending = False  # asyncio: base_events.run_until_complete
    try:
        if is_nested(loop):
            _complete(loop, future)
            return future.result()
        loop._outermost = future
        try:
            return asyncio.BaseEventLoop.run_until_complete(loop, future)
        finally:
            loop._outermost = None
    except BaseException:
        if new_task and future.done() and not future.cancelled():
            future.exception()  # which is the one that is raised here
        raise


def _complete(loop: Loop, future: asyncio.Future[Any]) -> None:
    def done(_: object) -> None:
        if not any(each is future for each in loop._awaited):
            return  # its run is over already, by one inside of it
        # asyncio: base_events._run_until_complete_cb; these two have ended the run themselves.
        if future.cancelled() or not isinstance(
            future.exception(), (SystemExit, KeyboardInterrupt)
        ):
            loop._stopping = True  # as stop() does, but told from it

    future.add_done_callback(done)
    try:
        with _Turns(loop) as turns:
            loop._awaited.append(future)
            try:
                while not future.done() and (turns.for_outermost or not turns.stopped):
                    turns.take()
            finally:
                loop._awaited.remove(future)
    finally:
        future.remove_done_callback(done)
    if not future.done():
        raise RuntimeError("Event loop stopped before Future completed.")


def _coroutine_of(main: Any) -> Coroutine[Any, Any, Any]:
    """What asyncio.Runner.run() makes a task of (asyncio: runners.run)."""
    if asyncio.iscoroutine(main):
        return main
    if not _core.RUNS_AWAITABLES:
        raise ValueError(f"a coroutine was expected, got {main!r}")
    if not inspect.isawaitable(main):
        raise TypeError("An asyncio.Future, a coroutine or an awaitable is required")

    async def wait() -> Any:
        return await main

    return wait()


def run(loop: Loop, main: Coroutine[Any, Any, T], debug: bool | None) -> T:
    """``fastaio.run(main)`` inside a run of the loop."""
    coroutine = _coroutine_of(main)
    before = loop.get_debug()
    if debug is not None:
        loop.set_debug(debug)
    task = loop.create_task(coroutine)
    try:
        result: T = run_until_complete(loop, task)
        return result
    finally:
        if not task.done():
            task.cancel()
            with suppress(asyncio.CancelledError):
                run_until_complete(loop, task)
        if debug is not None:
            loop.set_debug(before)
