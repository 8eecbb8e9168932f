"""Pinned processes, and what they cost: CPU time, memory, system calls, and the load on them."""

import contextlib
import os
import re
import resource
import signal
import socket
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_CPUS = sorted(os.sched_getaffinity(0))
LOAD_CPU = _CPUS[0]
SERVER_CPU = _CPUS[-1]
_TICK = os.sysconf("SC_CLK_TCK")
_START_SECONDS = 15.0
_LUA = Path(__file__).resolve().parent / "load" / "request.lua"
_UNITS = {"us": 1.0, "ms": 1e3, "s": 1e6, "m": 6e7}


class ContenderError(Exception):
    """A contender did not start, died, or answered wrongly; the text says how."""


def spawn(command: Sequence[str], cpu: int, **popen: Any) -> "subprocess.Popen[Any]":
    """Starts a process that stays on one CPU."""
    return subprocess.Popen(["taskset", "-c", str(cpu), *command], **popen)


def stop(process: "subprocess.Popen[Any]") -> None:
    """Ends a process of ours, politely, then not."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def tree(pid: int) -> list[int]:
    """The process and all its descendants."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in task.read_text().split():
                found += tree(int(child))
    return found


def _ticks(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def _nanoseconds(pid: int) -> float:
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def cpu_seconds(pid: int) -> float:
    """User and system time the process tree has used so far.

    The scheduler's own count of nanoseconds where the kernel keeps it, else the ticks of stat.
    """
    one = _nanoseconds if Path("/proc/self/schedstat").exists() else _ticks
    total = 0.0
    for member in tree(pid):
        with contextlib.suppress(OSError):
            total += one(member)
    return total


def rss_bytes(pid: int) -> int:
    """Resident memory of the process tree."""
    pages = 0
    for member in tree(pid):
        with contextlib.suppress(OSError):
            pages += int(Path(f"/proc/{member}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def free_port() -> int:
    """A TCP port that was free a moment ago."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def connect(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), timeout=5)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def wait_for_port(port: int, process: "subprocess.Popen[Any]", log: Path) -> None:
    """Returns once the port takes connections."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ContenderError(
                f"ended at its start: {log.read_text(errors='replace')[-800:].strip()}"
            )
        with contextlib.suppress(OSError), connect(port):
            return
        time.sleep(0.05)
    raise ContenderError("took no connections in time")


def raise_file_limit() -> None:
    """As many descriptors as the system gives: thousands of connections are held."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@dataclass(frozen=True)
class Load:
    """What wrk saw in one round; times in microseconds."""

    requests: int
    seconds: float
    p50: float
    p99: float


def _microseconds(text: str, percentile: str) -> float:
    found = re.search(rf"^\s+{percentile}%\s+([\d.]+)(us|ms|s|m)$", text, re.MULTILINE)
    return float(found[1]) * _UNITS[found[2]] if found else float("nan")


def wrk(port: int, request: Path, seconds: int, connections: int) -> Load:
    """One round of load: the bytes of the file, again and again, on each connection."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(_LUA)]
    command += [f"http://127.0.0.1:{port}/", "--", str(request)]
    process = spawn(command, LOAD_CPU, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    text, _ = process.communicate(timeout=seconds + 30)
    total = re.search(r"(\d+) requests in ([\d.]+)(ms|s|m)", text)
    if total is None or int(total[1]) == 0:
        raise ContenderError(f"no load: {text.strip()[-400:]}")
    for trouble in ("Socket errors", "Non-2xx"):
        line = re.search(rf"^\s*{trouble}.*$", text, re.MULTILINE)
        if line:
            raise ContenderError(line[0].strip())
    length = float(total[2]) * _UNITS[total[3]] / 1e6
    return Load(int(total[1]), length, _microseconds(text, "50"), _microseconds(text, "99"))


@contextlib.contextmanager
def system_calls(pid: int) -> Iterator["Counter[str]"]:
    """Counts, by name, the system calls the process tree makes while the block runs."""
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "calls")
        command = ["strace", "-c", "-f", "-o", str(out)]
        for member in tree(pid):
            command += ["-p", str(member)]
        with spawn(command, LOAD_CPU, stderr=subprocess.PIPE, text=True) as tracer:
            assert tracer.stderr is not None
            first = tracer.stderr.readline()
            if "attached" not in first:
                tracer.wait()
                raise ContenderError(f"strace: {first.strip()}")
            try:
                yield counts
            finally:
                tracer.send_signal(signal.SIGINT)
                tracer.stderr.read()
                tracer.wait()
        for line in out.read_text().splitlines():
            fields = line.split()
            if len(fields) in (5, 6) and fields[3].isdigit() and fields[-1] != "total":
                counts[fields[-1]] += int(fields[3])


def child_cpu_ms(command: Sequence[str]) -> float:
    """CPU milliseconds a process takes from its start to its end."""
    process = spawn(command, SERVER_CPU, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    error = process.stderr.read()
    process.stderr.close()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise ContenderError(error.decode(errors="replace").strip()[-400:])
    return (used.ru_utime + used.ru_stime) * 1e3
