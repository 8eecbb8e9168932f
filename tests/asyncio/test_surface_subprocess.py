"""Every keyword of Popen, and how children end."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import gc
import os
import signal
import subprocess
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE

import pytest

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")


async def output_of(*command, **keywords):
    """What a program says on its standard output."""
    child = await asyncio.create_subprocess_exec(*command, stdout=PIPE, **keywords)
    out, _ = await child.communicate()
    assert child.returncode == 0
    return out.decode().strip()


def status(field):
    """A program that shows a line of its /proc/self/status."""
    return "grep", f"^{field}:", "/proc/self/status"


# -- keywords --------------------------------------------------------------------------------------


@needs_root
@pytest.mark.parametrize(
    ("keywords", "field", "expected"),
    [
        ({"user": 65534}, "Uid", "65534 65534 65534 65534"),
        ({"user": "nobody"}, "Uid", "65534 65534 65534 65534"),
        ({"group": 12345}, "Gid", "12345 12345 12345 12345"),
        ({"extra_groups": [7, 12345]}, "Groups", "7 12345"),
        ({"extra_groups": []}, "Groups", ""),
        ({"user": 65534, "group": 5, "extra_groups": [6]}, "Groups", "6"),
    ],
)
def test_identity(run, keywords, field, expected):
    async def main():
        line = await output_of(*status(field), **keywords)
        assert " ".join(line.split()[1:]) == expected

    run(main())


@pytest.mark.parametrize("umask", [0o077, 0, -1])
def test_umask(run, umask):
    async def main():
        expected = await output_of("sh", "-c", "umask") if umask < 0 else f"{umask:04o}"
        assert await output_of("sh", "-c", "umask", umask=umask) == expected

    run(main())


def test_process_group(run):
    ask = "import os; print(os.getpgid(0) == os.getpid(), os.getsid(0) == os.getpid())"

    async def main():
        assert await output_of(sys.executable, "-c", ask) == "False False"
        assert await output_of(sys.executable, "-c", ask, process_group=0) == "True False"
        assert await output_of(sys.executable, "-c", ask, start_new_session=True) == "True True"

    run(main())


def test_pipesize(run):
    async def main():
        child = await asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE, pipesize=8192)
        pipe = child._transport.get_pipe_transport(1).get_extra_info("pipe")
        assert fcntl.fcntl(pipe.fileno(), fcntl.F_GETPIPE_SZ) == 8192
        assert await child.communicate(bytes(100_000)) == (bytes(100_000), None)

    run(main())


def test_preexec_fn(run):
    async def main():
        out = await output_of("sh", "-c", "umask", preexec_fn=lambda: os.umask(0o123))
        assert out == "0123"
        with pytest.raises(subprocess.SubprocessError, match="Exception occurred in preexec_fn"):
            await asyncio.create_subprocess_exec("true", preexec_fn=lambda: 1 / 0)

    run(main())


@pytest.mark.parametrize("restore", [True, False])
def test_restore_signals(run, restore):
    """Python ignores SIGPIPE; a child need not."""

    async def main():
        line = await output_of(*status("SigIgn"), restore_signals=restore)
        ignored = int(line.split()[1], 16) >> (signal.SIGPIPE - 1) & 1
        assert ignored == (not restore)

    run(main())


def test_executable_and_names(run):
    async def main():
        assert (
            await output_of("another-name", "-c", "echo $0", executable="/bin/sh") == "another-name"
        )
        child = await asyncio.create_subprocess_shell(
            "echo $0", executable="/bin/bash", stdout=PIPE
        )
        assert (await child.communicate())[0].strip() == b"/bin/bash"

    run(main())


def test_cwd_and_env(run, tmp_path):
    async def main():
        assert await output_of("pwd", cwd=tmp_path) == str(tmp_path)
        assert await output_of("pwd", cwd=os.fsencode(tmp_path)) == str(tmp_path)
        assert await output_of("/usr/bin/env", env={}) == ""
        assert await output_of("/usr/bin/env", env={"A": "b"}) == "A=b"
        with pytest.raises(FileNotFoundError):
            await output_of("pwd", cwd=tmp_path / "none")

    run(main())


def test_standard_input(run):
    async def main():
        assert await output_of("cat", stdin=DEVNULL) == ""
        with tempfile.TemporaryFile() as file:
            file.write(b"text")
            file.seek(0)
            assert await output_of("cat", stdin=file) == "text"
            file.seek(0)
            assert await output_of("cat", stdin=file.fileno()) == "text"
        child = await asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
        assert child.stdout is not None and child.stderr is None
        child.stdin.write_eof()
        assert await child.stdout.read() == b""
        assert await child.wait() == 0

    run(main())


def test_output_to_a_file(run):
    async def main():
        with tempfile.TemporaryFile() as file:
            child = await asyncio.create_subprocess_shell(
                "echo out; echo err >&2", stdout=file, stderr=file.fileno()
            )
            assert await child.wait() == 0
            file.seek(0)
            assert file.read() == b"out\nerr\n"

    run(main())


@pytest.mark.parametrize("close_fds", [True, False])
def test_close_fds(run, close_fds):
    async def main():
        read_end, write_end = os.pipe()
        try:
            os.set_inheritable(write_end, True)
            seen = await output_of(
                "sh",
                "-c",
                f"ls /proc/self/fd/{write_end} || true",
                close_fds=close_fds,
                stderr=DEVNULL,
            )
            assert bool(seen) is not close_fds
        finally:
            os.close(read_end)
            os.close(write_end)

    run(main())


@pytest.mark.parametrize(
    ("keywords", "error"),
    [
        ({"universal_newlines": True}, "universal_newlines must be False"),
        ({"shell": True}, "shell must be False"),
        ({"bufsize": 1}, "bufsize must be 0"),
        ({"text": True}, "text must be False"),
        ({"encoding": "utf-8"}, "encoding must be None"),
        ({"errors": "strict"}, "errors must be None"),
    ],
)
def test_refused_keywords(run, keywords, error):
    async def main():
        loop = asyncio.get_running_loop()
        with pytest.raises(ValueError, match=error):
            await loop.subprocess_exec(asyncio.SubprocessProtocol, "true", **keywords)

    run(main())


def test_arguments_of_every_kind(run, tmp_path):
    async def main():
        assert await output_of(b"echo", b"a", "b") == "a b"
        loop = asyncio.get_running_loop()
        with pytest.raises(ValueError, match="cmd must be a string"):
            await loop.subprocess_shell(asyncio.SubprocessProtocol, ["true"])
        script = tmp_path / "script"
        script.write_text("#!/bin/sh\necho ran\n")
        with pytest.raises(PermissionError):
            await output_of(script)
        script.chmod(0o755)
        assert await output_of(script) == "ran"

    run(main())


# -- protocols -------------------------------------------------------------------------------------


class Log(asyncio.SubprocessProtocol):
    def __init__(self):
        self.calls = []
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.calls.append("made")

    def pipe_data_received(self, fd, data):
        self.calls.append(("data", fd, data))

    def pipe_connection_lost(self, fd, exc):
        self.calls.append(("pipe lost", fd, exc))

    def process_exited(self):
        self.calls.append("exited")

    def connection_lost(self, exc):
        self.calls.append(("lost", exc))
        self.ended.set_result(None)


def test_order_of_calls(run):
    async def main():
        loop = asyncio.get_running_loop()
        transport, log = await loop.subprocess_exec(
            Log, "sh", "-c", "echo out; exit 7", stdin=None, stderr=None
        )
        assert isinstance(transport, asyncio.SubprocessTransport)
        assert transport.get_pipe_transport(0) is None
        assert isinstance(transport.get_pipe_transport(1), asyncio.ReadTransport)
        assert transport.get_protocol() is log
        popen = transport.get_extra_info("subprocess")
        assert isinstance(popen, subprocess.Popen) and popen.pid == transport.get_pid()
        await log.ended
        assert log.calls[0] == "made" and log.calls[-1] == ("lost", None)
        # The exit and the pipe are two sources: neither waits for the other.
        of_pipe = [call for call in log.calls[1:-1] if call != "exited"]
        assert of_pipe == [("data", 1, b"out\n"), ("pipe lost", 1, None)]
        assert log.calls.count("exited") == 1
        assert transport.get_returncode() == popen.returncode == 7
        with pytest.raises(ProcessLookupError):
            transport.terminate()
        transport.close()

    run(main())


def test_closed_early(run):
    """close() kills the child and its pipes."""

    async def main():
        loop = asyncio.get_running_loop()
        transport, log = await loop.subprocess_exec(Log, "sleep", "60")
        pid = transport.get_pid()
        transport.close()
        transport.close()
        assert transport.is_closing()
        await log.ended
        with pytest.raises(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)

    run(main())


def test_cancelled_start(run):
    """Nothing is left of a child whose start nobody waited for."""

    async def main():
        task = asyncio.create_task(asyncio.create_subprocess_exec("sleep", "60", stdin=PIPE))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


# -- the end of a child ----------------------------------------------------------------------------


def test_a_hundred_at_once(run):
    async def main():
        outs = await asyncio.gather(*(output_of("echo", str(number)) for number in range(100)))
        assert outs == [str(number) for number in range(100)]

    run(main())
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_cancelled_communicate(run):
    async def main():
        child = await asyncio.create_subprocess_exec("sleep", "60", stdin=PIPE, stdout=PIPE)
        task = asyncio.create_task(child.communicate(bytes(1_000_000)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        child.kill()
        assert await child.wait() == -signal.SIGKILL

    run(main())
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_child_that_ended_at_once(run):
    async def main():
        child = await asyncio.create_subprocess_exec("true")
        # Ended, and not yet reaped, before anybody waits.
        with contextlib.suppress(ChildProcessError):  # a thread of asyncio's was quicker
            os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert await child.wait() == 0
        assert await child.wait() == 0

    run(main())


def test_many_wait_for_one(run):
    async def main():
        child = await asyncio.create_subprocess_exec("cat", stdin=PIPE)
        waiting = [asyncio.create_task(child.wait()) for _ in range(5)]
        await asyncio.sleep(0)
        child.stdin.close()
        assert await asyncio.gather(*waiting) == [0] * 5

    run(main())


def test_handler_of_sigchld_is_left_alone(run):
    heard = []
    before = signal.signal(signal.SIGCHLD, lambda *args: heard.append(args[0]))
    try:

        async def main():
            child = await asyncio.create_subprocess_exec("true")
            assert await child.wait() == 0
            await asyncio.sleep(0)

        run(main())
        assert heard == [signal.SIGCHLD]
        handler = signal.getsignal(signal.SIGCHLD)
        assert callable(handler) and handler.__name__ == "<lambda>"
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_other_children_are_left_alone(run):
    other = subprocess.Popen(["true"])

    async def main():
        child = await asyncio.create_subprocess_exec("true")
        assert await child.wait() == 0

    run(main())
    assert other.wait() == 0


def test_no_descriptor_is_left(run):
    async def main():
        await output_of("true", stdin=PIPE)  # whatever is made once
        await asyncio.sleep(0.001)  # likewise what a loop opens when it waits for the first time
        gc.collect()
        before = len(os.listdir("/proc/self/fd"))
        await asyncio.gather(*(output_of("true", stdin=PIPE, stderr=PIPE) for _ in range(10)))
        async with asyncio.timeout(10):  # the last pipes may close a few turns after the exits
            while len(os.listdir("/proc/self/fd")) > before:
                await asyncio.sleep(0)

    run(main())
