"""Subprocesses: what asyncio's do, ours do."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
from asyncio.subprocess import DEVNULL, PIPE, STDOUT

import pytest


def test_communicate(run):
    async def main():
        child = await asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
        data = bytes(range(256)) * 2000
        out, err = await child.communicate(data)
        assert (out, err, child.returncode) == (data, None, 0)

    run(main())


def test_shell_and_exit_status(run):
    async def main():
        child = await asyncio.create_subprocess_shell(
            "echo out; echo err >&2; exit 3", stdout=PIPE, stderr=PIPE
        )
        assert await child.communicate() == (b"out\n", b"err\n")
        assert child.returncode == 3

    run(main())


def test_child_can_open_its_standard_output(run):
    async def main():
        child = await asyncio.create_subprocess_shell("echo hello > /dev/stdout", stdout=PIPE)
        assert await child.communicate() == (b"hello\n", None)

    run(main())


def test_stderr_into_stdout(run):
    async def main():
        child = await asyncio.create_subprocess_shell(
            "echo one; echo two >&2", stdout=PIPE, stderr=STDOUT
        )
        assert await child.communicate() == (b"one\ntwo\n", None)

    run(main())


def test_signals(run):
    async def main():
        for send, number in (
            (lambda child: child.terminate(), signal.SIGTERM),
            (lambda child: child.kill(), signal.SIGKILL),
            # (not SIGHUP: children of nohup ignore it)
            (lambda child: child.send_signal(signal.SIGUSR1), signal.SIGUSR1),
        ):
            child = await asyncio.create_subprocess_exec("sleep", "60", stdout=DEVNULL)
            send(child)
            assert await child.wait() == -number

    run(main())


def test_popen_keywords(run, tmp_path):
    async def main():
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            "import os; print(os.getcwd(), os.environ['NAME'], os.umask(0),"
            " os.getsid(0) == os.getpid())",
            cwd=tmp_path,
            env={"NAME": "value"},
            umask=0o27,
            start_new_session=True,
            stdout=PIPE,
        )
        out, _ = await child.communicate()
        assert out.decode().split() == [str(tmp_path), "value", str(0o27), "True"]

    run(main())


def test_pass_fds(run):
    async def main():
        ours, theirs = os.pipe()
        try:
            child = await asyncio.create_subprocess_shell(
                f"echo through > /dev/fd/{theirs}", pass_fds=[theirs]
            )
            assert await child.wait() == 0
            assert os.read(ours, 100) == b"through\n"
        finally:
            os.close(ours)
            os.close(theirs)

    run(main())


def test_missing_program(run):
    async def main():
        with pytest.raises(FileNotFoundError):
            await asyncio.create_subprocess_exec("/no/such/program")

    run(main())


def test_no_fork_hooks_run(run):
    script = (
        "import asyncio, os, sys\n"
        "os.register_at_fork(before=lambda: print('hook'))\n"
        "async def main():\n"
        "    child = await asyncio.create_subprocess_exec('true')\n"
        "    await child.wait()\n"
        "import fastaio\n"
        "factory = {'fastaio': fastaio.new_event_loop, 'asyncio': None}[sys.argv[1]]\n"
        "with asyncio.Runner(loop_factory=factory) as runner:\n"
        "    runner.run(main())\n"
    )

    async def main():
        name = type(asyncio.get_running_loop()).__module__.partition(".")[0]
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", script, name, stdout=PIPE
        )
        assert await child.communicate() == (b"", None)
        assert child.returncode == 0

    run(main())


def test_off_the_main_thread(run):
    async def main():
        child = await asyncio.create_subprocess_exec("true")
        return await child.wait()

    results = []
    thread = threading.Thread(target=lambda: results.append(run(main())))
    thread.start()
    thread.join()
    assert results == [0]


def test_many_children_leave_no_zombie(run):
    async def main():
        children = [await asyncio.create_subprocess_exec("true") for _ in range(20)]
        assert await asyncio.gather(*(child.wait() for child in children)) == [0] * 20
        for child in children:
            with pytest.raises(ChildProcessError):
                os.waitpid(child.pid, os.WNOHANG)

    run(main())


def test_cancelled_wait_leaves_the_child_running(run):
    async def main():
        child = await asyncio.create_subprocess_exec("sleep", "60")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(child.wait(), 0.01)
        assert child.returncode is None
        child.kill()
        assert await child.wait() == -signal.SIGKILL

    run(main())


#: From Python 3.15 on the wait for a child whose start was cancelled goes on when that is, too.
WAIT_IS_SHIELDED = sys.version_info >= (3, 15)


def test_start_cancelled_twice(loop):
    ended = loop.create_future()
    told = loop._child_watcher_callback
    loop._child_watcher_callback = lambda *exit: ended.set_result(exit)

    async def main():
        mine = asyncio.all_tasks()
        start = asyncio.ensure_future(
            loop.subprocess_exec(
                asyncio.SubprocessProtocol, "sleep", "60", stdin=None, stdout=None, stderr=None
            )
        )
        await asyncio.sleep(0)  # the child is there, its transport not
        start.cancel()
        await asyncio.sleep(0)  # the child's end is waited for
        start.cancel()
        with pytest.raises(asyncio.CancelledError):
            await start
        waits = asyncio.all_tasks() - mine
        assert [wait.get_coro().__name__ for wait in waits] == ["_wait"] * WAIT_IS_SHIELDED
        told(*await ended)
        assert await asyncio.gather(*waits) == [-signal.SIGKILL] * WAIT_IS_SHIELDED
        transport = ended.result()[2]
        while transport.get_returncode() is None:
            await asyncio.sleep(0)
        assert transport.get_returncode() == -signal.SIGKILL

    loop.run_until_complete(main())


@pytest.mark.skipif(sys.version_info < (3, 14), reason="not the loop's before 3.14")
def test_a_watcher_of_the_program_s(loop):
    """It is asked for each child; the loop's own does as much for others'."""
    own, asked = loop._watcher, []

    class Watcher:
        def add_child_handler(self, pid, callback, *args):
            asked.append(pid)
            own.add_child_handler(pid, callback, *args)

    async def main():
        child = await asyncio.create_subprocess_exec("sh", "-c", "exit 3")
        assert await child.wait() == 3
        assert asked == [child.pid]
        told = loop.create_future()
        with subprocess.Popen(["sh", "-c", "exit 4"]) as other:
            own.add_child_handler(other.pid, lambda *args: told.set_result(args), "more")
            assert await told == (other.pid, 4, "more")
            other.returncode = 4

    loop._watcher = Watcher()
    loop.run_until_complete(main())


@pytest.mark.skipif(sys.version_info < (3, 14), reason="not the loop's before 3.14")
def test_a_status_that_a_thread_waits_for(loop_factory, monkeypatch):
    """From 3.15 on it is the loop that takes it."""

    def pidfd_open(pid, flags=0):
        raise OSError

    monkeypatch.setattr(os, "pidfd_open", pidfd_open)
    loop = loop_factory()
    reading, writing = os.pipe()
    child = loop.run_until_complete(asyncio.create_subprocess_exec("cat", stdin=reading))
    os.close(reading)
    os.close(writing)
    for thread in threading.enumerate():
        if "waitpid" in thread.name:
            thread.join()
    ask = os.WEXITED | os.WNOWAIT | os.WNOHANG
    if sys.version_info >= (3, 15):
        assert os.waitid(os.P_PID, child.pid, ask) is not None
    else:
        with pytest.raises(ChildProcessError):
            os.waitid(os.P_PID, child.pid, ask)
    assert loop.run_until_complete(child.wait()) == 0
    with pytest.raises(ChildProcessError):
        os.waitid(os.P_PID, child.pid, ask)


#: Up to Python 3.11 a child that nobody waited for goes on, later its transport kills it.
GOES_ON = sys.version_info < (3, 12)


@pytest.mark.without_debug
def test_a_child_left_by_a_closed_loop(loop_factory, caplog):
    """A thread of asyncio's (3.11) still waits for it, and keeps the transport."""
    loop = loop_factory()
    before = threading.active_count()
    reading, writing = os.pipe()
    waits = "import sys; sys.stdin.read()"

    async def main():
        return (
            await asyncio.create_subprocess_exec(sys.executable, "-c", waits, stdin=reading)
        ).pid

    pid = loop.run_until_complete(main())
    os.close(reading)
    loop.close()
    with pytest.warns(ResourceWarning):
        gc.collect()
        if GOES_ON:
            assert os.waitpid(pid, os.WNOHANG) == (0, 0)
            assert threading.active_count() == before + 1
        os.close(writing)
        for thread in threading.enumerate():
            if "waitpid" in thread.name:
                thread.join()
        gc.collect()
    if GOES_ON:
        with pytest.raises(ChildProcessError):  # reaped
            os.waitpid(pid, 0)
    else:
        assert os.waitpid(pid, 0) == (pid, signal.SIGKILL)
    said = [record.getMessage() for record in caplog.records]
    assert said == ([f"Loop {loop!r} that handles pid {pid} is closed"] if GOES_ON else [])


LEAVES = """
import asyncio
from {module} import {name} as make

async def main():
    await asyncio.create_subprocess_exec("cat", stdin=0, stdout=1)

loop = make()
loop.run_until_complete(main())
{close}
"""


@pytest.mark.parametrize("close", ["loop.close()", ""])
def test_a_child_left_by_a_program_that_ends(loop, close):
    program = LEAVES.format(module=type(loop).__module__, name=type(loop).__name__, close=close)
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as parent:
        assert parent.wait(30) == 0
        try:
            parent.stdin.write(b"is it there?")
            parent.stdin.close()
        except BrokenPipeError:
            parent.stdin = None
        assert parent.stdout.read() == (b"is it there?" if GOES_ON else b"")
        assert parent.stderr.read() == b""
