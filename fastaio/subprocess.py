"""Subprocess transports: asyncio's own class over our pipes, with the exit told by a pidfd.

Runs once per process, so it is Python. ``subprocess.Popen`` starts the child (vfork where it can,
no fork hooks unless ``preexec_fn`` is given), which is why every keyword of Popen works. No child
watcher of asyncio's is used, so it also works off the main thread.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import subprocess
import sys
import threading
from asyncio import events
from asyncio.base_subprocess import BaseSubprocessTransport
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import _core
from .log import logger

if TYPE_CHECKING:
    from .endpoints import Endpoints

#: What a child's exit is reported as when somebody else has already collected its status.
STATUS_UNKNOWN = 255


class SubprocessTransport(BaseSubprocessTransport):
    """A child process and its pipes (`asyncio.SubprocessTransport`), where asyncio's own class goes
    with a watcher of asyncio's.
    """

    _proc: subprocess.Popen[bytes]

    def _start(
        self,
        args: Any,
        shell: bool,
        stdin: Any,
        stdout: Any,
        stderr: Any,
        bufsize: int,
        **kwargs: Any,
    ) -> None:
        self._proc = subprocess.Popen(
            args,
            shell=shell,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            bufsize=bufsize,
            universal_newlines=False,
            **kwargs,
        )


class ChildWatcher:
    """What the loop of each child is given to watch it with; asyncio's ``loop._watcher``."""

    def add_child_handler(self, pid: int, callback: Callable[..., object], *args: Any) -> None:
        """Call ``callback(pid, returncode, *args)`` once the child has ended."""
        loop: Any = events.get_running_loop()
        watch_exit(loop, pid, lambda returncode: callback(pid, returncode, *args))


def watch_exit(loop: Endpoints, pid: int, on_exit: Callable[[int], object]) -> None:
    """Call ``on_exit(returncode)`` on `loop` once the child `pid` has ended, and reap it.

    A pidfd tells (Linux 5.3 and newer); where there is none, a thread waits.
    """
    try:
        pidfd = os.pidfd_open(pid)
    except (AttributeError, OSError):
        _watch_by_thread(loop, pid, on_exit)
        return
    watch = _ExitWatch(loop, pid, pidfd, on_exit)
    loop.add_reader(pidfd, watch.exited)
    if _LEAVES_RUNNING:
        _running.add(watch)


class _ExitWatch:
    """A pidfd, closed when the child has ended or the loop that watches it lets go of this."""

    __slots__ = ("_loop", "_on_exit", "_pid", "_pidfd")

    def __init__(
        self, loop: Endpoints, pid: int, pidfd: int, on_exit: Callable[[int], object]
    ) -> None:
        self._loop = loop
        self._pid = pid
        self._pidfd = pidfd
        self._on_exit = on_exit

    def exited(self) -> None:
        """The child has ended."""
        _running.discard(self)
        self._loop.remove_reader(self._pidfd)
        self._close()
        self._on_exit(_reap(self._pid))

    def leave(self, loop: Endpoints | None) -> None:
        """See leave_running()."""
        if loop is None or loop is self._loop:
            _running.discard(self)
            _watch_by_thread(self._loop, self._pid, self._on_exit)

    def _close(self) -> None:
        pidfd, self._pidfd = self._pidfd, -1
        if pidfd >= 0:
            os.close(pidfd)

    def __del__(self) -> None:
        self._close()


#: Up to Python 3.11 asyncio has a thread wait for each child, which keeps the transport: a child
#: that a loop which closes, or a program that ends, leaves running goes on. Later versions kill it.
_LEAVES_RUNNING = not _core.SUBPROCESSES_END_WITH_LOOP

#: What is watched, where that is so.
_running: set[_ExitWatch] = set()


def leave_running(loop: Endpoints | None = None) -> None:
    """Let threads wait for the children of a loop that was closed; None: for all there are."""
    if _running and not sys.is_finalizing():
        for watch in list(_running):
            watch.leave(loop)


def _forget_running() -> None:
    """In a forked child: they are its parent's children."""
    _running.clear()


if _LEAVES_RUNNING:
    atexit.register(leave_running)
    os.register_at_fork(after_in_child=_forget_running)


def _reap(pid: int) -> int:
    try:
        _, status = os.waitpid(pid, 0)
    except ChildProcessError:
        logger.warning(
            "child process pid %d exit status already read:  will report returncode %d",
            pid,
            STATUS_UNKNOWN,
        )
        return STATUS_UNKNOWN
    return os.waitstatus_to_exitcode(status)


def _watch_by_thread(loop: Endpoints, pid: int, on_exit: Callable[[int], object]) -> None:
    def wait() -> None:
        if _core.LOOPS_TAKE_STATUS and hasattr(os, "waitid"):
            with contextlib.suppress(ChildProcessError):
                os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
            code = None
        else:
            code = _reap(pid)

        def tell() -> None:
            on_exit(_reap(pid) if code is None else code)

        try:
            loop.call_soon_threadsafe(tell)
        except RuntimeError:
            if code is None:
                _reap(pid)
            logger.warning("Loop %r that handles pid %d is closed", loop, pid)

    threading.Thread(target=wait, name=f"fastaio-waitpid-{pid}", daemon=True).start()
