"""What a fork means for the loops of a process: the child gets a copy of each that shares nothing
with its parent's but the descriptors of its transports, and may go on with it or leave it alone.
"""

from __future__ import annotations

import os
import signal
import weakref
from asyncio import events
from typing import TYPE_CHECKING

from . import _core

if TYPE_CHECKING:
    from .loop import Loop

__all__ = ["enlist"]

_loops: weakref.WeakSet[Loop] = weakref.WeakSet()


def enlist(loop: Loop) -> None:
    """Have a new loop looked after in children forked from now on."""
    _loops.add(loop)


def _before() -> None:
    # Only the forking thread's own loop has anything under way in the child.
    loop = events._get_running_loop()
    if loop in _loops:
        loop._before_fork()  # type: ignore[union-attr]


def _in_child() -> None:
    if not _core.FORKS_DROP_WAKEUP:
        _forget_wakeup()
    for loop in list(_loops):
        if not loop.is_closed():
            loop._after_fork()
            loop._forget_parent()


def _forget_wakeup() -> None:
    """Signals of the child ring no pipe of a loop's, as later versions of asyncio see to."""
    try:
        wakeup = signal.set_wakeup_fd(-1)
        if wakeup not in [loop._wakeup_ours for loop in _loops]:
            signal.set_wakeup_fd(wakeup)
    except ValueError:
        pass  # a sub-interpreter


os.register_at_fork(before=_before, after_in_child=_in_child)
