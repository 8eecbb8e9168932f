"""``loop._selector``: what stands in for a selector. The loop waits in C and does not ask it,
unless a program has put a ``select()`` of its own in place of this one, as clocks for tests do.
"""

from __future__ import annotations

import asyncio
import selectors
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .loop import Loop

__all__ = ["WatchedFiles", "is_plain"]


class WatchedFiles(selectors.BaseSelector):
    """The files that a loop watches, as asyncio's transports and other programs look at them."""

    _given: dict[int, selectors.SelectorKey]

    def __init__(self, loop: Loop) -> None:
        self._loop = weakref.ref(loop)
        # What register() was called for; not by the method below, for its cost.
        self.__dict__["_given"] = {}

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        self._changed(name)

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        self._changed(name)

    def _changed(self, name: str) -> None:
        """Have the loop look who waits, where that may be somebody else now."""
        loop = self._loop()
        if name == "select" and loop is not None and getattr(loop, "_selector", None) is self:
            loop._selector = self

    def _keys(self) -> dict[int, selectors.SelectorKey]:
        loop = self._loop()
        items = [] if loop is None else loop._watches()
        return {item[0]: self._key_of(*item) for item in items}

    def _key_of(
        self, fd: int, events: int, file: Any, reader: Any, writer: Any
    ) -> selectors.SelectorKey:
        given = self._given.get(fd)
        if given is not None:
            if any(each and each._callback == self._happened for each in (reader, writer)):
                return given._replace(events=events)
            del self._given[fd]  # add_reader() or the like has taken its place
        return key_of(fd, events, file, reader, writer)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """As ``selectors.BaseSelector.select``: what it returns, the loop has not dealt with.

        Raises RuntimeError where the loop is another thread's or closed.
        """
        loop = self._loop()
        found = [] if loop is None else loop._poll(timeout)
        keys = self._keys() if found else {}
        woken = key_of(-1, selectors.EVENT_READ, -1, None, None)
        return [(keys.get(fd, woken), events) for fd, events in found]

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        """As ``selectors.BaseSelector.get_key``; KeyError for what is not watched."""
        loop = self._loop()
        watched = None if loop is None else loop._watched(fileobj)
        if watched is None:
            raise KeyError(f"{fileobj!r} is not registered")
        return self._key_of(*watched)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        """As ``selectors.BaseSelector.get_map``: what is watched now."""
        return WatchedMap(self._keys())

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """As ``selectors.BaseSelector.register``; KeyError for what is watched already.

        With a tuple of two handles (or None) for data the loop runs them, as asyncio's does; with
        anything else it calls its ``_process_events()``.
        """
        if not events or events & ~(selectors.EVENT_READ | selectors.EVENT_WRITE):
            raise ValueError(f"Invalid events: {events!r}")
        loop = self._loop()
        if loop is None:
            raise RuntimeError("the loop is gone")
        watched = loop._watched(fileobj)
        if watched is not None:
            raise KeyError(f"{fileobj!r} (FD {watched[0]}) is already registered")
        fd = fileobj if isinstance(fileobj, int) else int(fileobj.fileno())
        key = selectors.SelectorKey(fileobj, fd, events, data)
        if events & selectors.EVENT_READ:
            loop._add_reader(fileobj, self._happened, fd, selectors.EVENT_READ)
        if events & selectors.EVENT_WRITE:
            loop._add_writer(fileobj, self._happened, fd, selectors.EVENT_WRITE)
        self._given[fd] = key
        return key

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """As ``selectors.BaseSelector.modify``; KeyError for what is not watched."""
        key = self.get_key(fileobj)
        if (events, data) != (key.events, key.data):
            self.unregister(fileobj)
            return self.register(fileobj, events, data)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        """As ``selectors.BaseSelector.unregister``; KeyError for what is not watched."""
        key = self.get_key(fileobj)
        loop = self._loop()
        assert loop is not None  # it has answered get_key()
        loop._remove_reader(key.fd)
        loop._remove_writer(key.fd)
        self._given.pop(key.fd, None)
        return key

    def _happened(self, fd: int, event: int) -> None:
        """What was registered is ready."""
        loop = self._loop()
        key = self._given.get(fd)
        if loop is None or key is None:
            return
        if not is_pair_of_handles(key.data):
            loop._process_events([(key, event)])
            return
        handle = key.data[event == selectors.EVENT_WRITE]
        if handle is None:
            return
        if not handle._cancelled:
            handle._run()
        elif event == selectors.EVENT_READ:
            loop._remove_reader(fd)
        else:
            loop._remove_writer(fd)

    def close(self) -> None:
        """Nothing: the loop watches its files until it is closed."""


class WatchedMap(dict[Any, selectors.SelectorKey]):
    """Keys by descriptor, found by objects with fileno() too."""

    def __missing__(self, fileobj: Any) -> selectors.SelectorKey:
        if not isinstance(fileobj, int) and hasattr(fileobj, "fileno"):
            return self[fileobj.fileno()]
        raise KeyError(f"{fileobj!r} is not registered")

    def __contains__(self, fileobj: object) -> bool:
        if not isinstance(fileobj, int) and hasattr(fileobj, "fileno"):
            fileobj = fileobj.fileno()
        return super().__contains__(fileobj)


def key_of(fd: int, events: int, file: Any, reader: Any, writer: Any) -> selectors.SelectorKey:
    """The data are the handles of reader and writer, or None: a transport's, which has none."""
    data = None if reader is None and writer is None else (reader, writer)
    return selectors.SelectorKey(file, fd, events, data)


def is_pair_of_handles(data: Any) -> bool:
    """Whether it is what asyncio's loop registers: the handles of reader and writer."""
    return (
        isinstance(data, tuple)
        and len(data) == 2
        and all(each is None or isinstance(each, asyncio.Handle) for each in data)
    )


PLAIN = WatchedFiles.select


def is_plain(selector: Any) -> bool:
    """Whether its select() is the one above."""
    return getattr(getattr(selector, "select", None), "__func__", None) is PLAIN
