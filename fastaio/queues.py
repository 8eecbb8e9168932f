"""``loop._ready`` and ``loop._scheduled``: the queues of a loop, which are in C, as programs look
at asyncio's and change them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, MutableSequence
from typing import TYPE_CHECKING, Any

from . import _core

if TYPE_CHECKING:
    from .loop import Loop

__all__ = [
    "ReadyHandles",
    "ScheduledTimers",
    "run_adopted",
    "waiting_handles",
    "waiting_timers",
]

#: The handles of a loop that wait to be run, and its timers: new lists.
waiting_handles: Callable[[_core.Loop], list[asyncio.Handle]] = _core.Loop._ready.__get__
waiting_timers: Callable[[_core.Loop], list[asyncio.TimerHandle]] = _core.Loop._scheduled.__get__


class _Queue(MutableSequence[Any]):
    """What is the same about both."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop

    def _list(self) -> list[Any]:
        """The handles, in order: a new list."""
        raise NotImplementedError

    def replace(self, handles: Iterable[Any]) -> None:
        """Have these instead."""
        handles = list(handles)
        self.clear()
        self.extend(handles)

    def __len__(self) -> int:
        return len(self._list())

    def __getitem__(self, index: Any) -> Any:
        return self._list()[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        handles = self._list()
        handles[index] = value
        self.replace(handles)

    def __iter__(self) -> Any:
        return iter(self._list())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Iterable) and self._list() == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._list()!r})"

    def copy(self) -> list[Any]:
        """As a list."""
        return self._list()


class ReadyHandles(_Queue):
    """What is to run in the next turn, from the left; as asyncio's deque of it."""

    def _list(self) -> list[asyncio.Handle]:
        return waiting_handles(self._loop)

    def __delitem__(self, index: Any) -> None:
        chosen = range(len(self))[index]
        for each in sorted([chosen] if isinstance(chosen, int) else chosen, reverse=True):
            self._loop._ready_take(each)

    def insert(self, index: int, value: Any) -> None:
        """As ``deque.insert``."""
        handles = self._list()
        handles.insert(index, value)
        kept = handles.index(value)
        del self[kept:]
        self.extend(handles[kept:])

    def append(self, value: Any) -> None:
        """As ``deque.append``."""
        self._loop._add_callback(value)

    def clear(self) -> None:
        """As ``deque.clear``."""
        del self[:]

    def appendleft(self, value: Any) -> None:
        """As ``deque.appendleft``."""
        self.insert(0, value)

    def extendleft(self, values: Iterable[Any]) -> None:
        """As ``deque.extendleft``."""
        for value in values:
            self.insert(0, value)

    def popleft(self) -> Any:
        """As ``deque.popleft``."""
        return self._loop._ready_take(0)

    def rotate(self, steps: int = 1) -> None:
        """As ``deque.rotate``."""
        handles = self._list()
        steps %= len(handles) or 1
        self.replace(handles[len(handles) - steps :] + handles[: len(handles) - steps])


class ScheduledTimers(_Queue):
    """The timers that wait, in the order of a heap; as asyncio's list of them."""

    def _list(self) -> list[asyncio.TimerHandle]:
        return waiting_timers(self._loop)

    def __delitem__(self, index: Any) -> None:
        chosen = self._list()[index]
        for each in chosen if isinstance(chosen, list) else [chosen]:
            self._loop._scheduled_take(each)

    def insert(self, index: int, value: Any) -> None:
        """As ``heapq.heappush``: the place is that of its time."""
        if type(value).__module__.startswith("fastaio."):
            self._loop._scheduled_put(value)
        else:
            self._loop.call_at(value.when(), run_adopted, value)

    def clear(self) -> None:
        """As ``list.clear``."""
        del self[:]

    def sort(self, **_: Any) -> None:
        """Nothing: they are in order."""


def run_adopted(handle: asyncio.Handle) -> None:
    """Run a handle that the program has made itself."""
    if not handle.cancelled():
        handle._run()
