"""Subprocess transports: asyncio's own base class over our pipes, with the exit told by a pidfd.

Runs once per process, so it is Python. ``subprocess.Popen`` starts the child (vfork where it can,
no fork hooks unless ``preexec_fn`` is given), which is why every keyword of Popen works. No child
watcher of asyncio's is used, so it also works off the main thread.
"""

from __future__ import annotations

import os
import subprocess
import threading
from asyncio.base_subprocess import BaseSubprocessTransport
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .log import logger

if TYPE_CHECKING:
    from .endpoints import Endpoints

#: What a child's exit is reported as when somebody else has already collected its status.
STATUS_UNKNOWN = 255


class SubprocessTransport(BaseSubprocessTransport):
    """A child process and its pipes (`asyncio.SubprocessTransport`)."""

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


def watch_exit(loop: Endpoints, pid: int, on_exit: Callable[[int], object]) -> None:
    """Call ``on_exit(returncode)`` on `loop` once the child `pid` has ended, and reap it.

    A pidfd tells (Linux 5.3 and newer); where there is none, a thread waits.
    """
    try:
        pidfd = os.pidfd_open(pid)
    except (AttributeError, OSError):
        _watch_by_thread(loop, pid, on_exit)
        return

    def exited() -> None:
        loop.remove_reader(pidfd)
        os.close(pidfd)
        on_exit(_reap(pid))

    try:
        loop.add_reader(pidfd, exited)
    except BaseException:
        os.close(pidfd)
        raise


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
        returncode = _reap(pid)
        if loop.is_closed():
            logger.warning("loop %r that handles pid %d is closed", loop, pid)
        else:
            loop.call_soon_threadsafe(on_exit, returncode)

    threading.Thread(target=wait, name=f"fastaio-waitpid-{pid}", daemon=True).start()
