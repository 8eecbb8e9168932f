"""Methods that a program has put into asyncio's own loop classes, as tracing agents do: our loop
stands in front of those, so what is found there is put in front of ours.

It is looked when a loop is made and when a run begins, and only after one of the classes changed.
"""

from __future__ import annotations

import asyncio
from typing import Any

__all__ = ["Patches"]

_MISSING: Any = object()

#: What asyncio's own methods do for our loop, too, so that a function that calls the one it has
#: taken the place of works. close() and call_at() are not among them.
NAMES = (
    "add_reader",
    "add_signal_handler",
    "add_writer",
    "call_later",
    "call_soon",
    "call_soon_threadsafe",
    "create_future",
    "create_task",
    "get_debug",
    "getaddrinfo",
    "getnameinfo",
    "is_closed",
    "is_running",
    "remove_reader",
    "remove_signal_handler",
    "remove_writer",
    "run_forever",
    "run_in_executor",
    "run_until_complete",
    "sock_accept",
    "sock_connect",
    "sock_recv",
    "sock_recv_into",
    "sock_recvfrom",
    "sock_recvfrom_into",
    "sock_sendall",
    "sock_sendto",
    "start_tls",
    "stop",
    "time",
)


def found(name: str) -> Any:
    """What asyncio's classes have under that name, as it stands there."""
    for cls in asyncio.SelectorEventLoop.__mro__:
        if name in vars(cls):
            return vars(cls)[name]
    return _MISSING


class Patches:
    """Those of one class of loops."""

    def __init__(self, cls: type) -> None:
        self._cls = cls
        self._before = {name: found(name) for name in NAMES}
        self._ours: dict[str, Any] = {}  # what the class had where there is another's now

    def look(self) -> None:
        """Take what is there now, and give back what no longer is."""
        for name, before in self._before.items():
            now = found(name)
            if now is before:
                if name in self._ours:
                    self._give_back(name)
            elif vars(self._cls).get(name) is not now:
                self._ours.setdefault(name, vars(self._cls).get(name, _MISSING))
                setattr(self._cls, name, now)

    def _give_back(self, name: str) -> None:
        ours = self._ours.pop(name)
        if ours is _MISSING:
            delattr(self._cls, name)
        else:
            setattr(self._cls, name, ours)
