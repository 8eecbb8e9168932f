"""fastaio/subprocess.py: what asyncio's watchers of children do worse."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import threading

import fastaio


def test_descriptor_goes_with_a_loop_that_is_closed_before_the_child_ends():
    async def main():
        child = await asyncio.create_subprocess_exec("sleep", "60")
        return child._transport

    before = os.listdir("/proc/self/fd")
    loop = fastaio.new_event_loop()
    transport = loop.run_until_complete(main())
    popen = transport.get_extra_info("subprocess")
    transport.close()
    loop.close()
    # Up to Python 3.11 a thread takes the status, as asyncio's does.
    assert popen.wait() in (
        (-signal.SIGKILL, 0) if sys.version_info < (3, 12) else (-signal.SIGKILL,)
    )
    for thread in threading.enumerate():
        if "waitpid" in thread.name:
            thread.join()
    del transport, popen, loop
    gc.collect()
    assert os.listdir("/proc/self/fd") == before


def test_exit_is_told_without_a_pidfd(monkeypatch):
    """As on a kernel that has none, or with no descriptor left."""

    def pidfd_open(pid, flags=0):
        raise OSError

    async def main():
        child = await asyncio.create_subprocess_exec("sh", "-c", "exit 3")
        return await child.wait()

    monkeypatch.setattr(os, "pidfd_open", pidfd_open)
    assert fastaio.run(main()) == 3


def test_status_that_somebody_else_has_taken(caplog):
    async def main():
        child = await asyncio.create_subprocess_exec("sleep", "60")
        os.kill(child.pid, signal.SIGKILL)
        os.waitpid(child.pid, 0)
        return await child.wait()

    assert fastaio.run(main()) == 255
    assert "exit status already read" in caplog.text
