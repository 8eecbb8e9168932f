"""The rows of sockets: a server on one CPU, a load in C (Python for TLS) on the other.

The figure is the CPU time of the server a message; for idle connections, bytes of RSS each.
"""

import contextlib
import select
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import measure, native
from benchmarks.micro.loops import BARE

START_SECONDS = 15
WARM_UP_MS = 200
IDLE_CONNECTIONS = 2000
SENDFILE_SIZE = 1 << 20
SIZES = {"64 B": 64, "1 KiB": 1 << 10, "10 KiB": 10 << 10, "100 KiB": 100 << 10, "1 MiB": 1 << 20}


class NoSuchRowError(Exception):
    """The bare server has no such row."""


@dataclass(frozen=True)
class SocketRow:
    """One row: which server, which load."""

    kind: str
    transport: str = "tcp"
    request: int = 1
    reply: int = 1
    connections: int = 1
    idle: bool = False

    @property
    def bare(self) -> str | None:
        """The kind of the bare libuv server that gives the same answers."""
        if self.transport == "tls" or self.kind in ("streams", "sock", "sock accept", "sendfile"):
            return None
        return "accept" if self.kind == "accept" else self.transport


def _rows() -> dict[str, SocketRow]:
    rows = {}
    for transport, kind in (
        *(("tcp", kind) for kind in ("protocol", "buffered", "streams")),
        *(("unix", kind) for kind in ("protocol", "buffered", "streams")),
    ):
        for text, size in SIZES.items():
            for count in (1, 10, 100):
                name = f"{transport} {kind} {text} x{count}"
                rows[name] = SocketRow(kind, transport, size, size, count)
    for count in (1, 10):
        rows[f"tcp sock_* 1 KiB x{count}"] = SocketRow("sock", "tcp", 1024, 1024, count)
        rows[f"udp 64 B x{count}"] = SocketRow("protocol", "udp", 64, 64, count)
        rows[f"udp 1 KiB x{count}"] = SocketRow("protocol", "udp", 1024, 1024, count)
        rows[f"udp sock_* 1 KiB x{count}"] = SocketRow("sock", "udp", 1024, 1024, count)
    for count in (1, 10):
        rows[f"tcp accept, one byte, close x{count}"] = SocketRow("accept", connections=count)
        rows[f"tcp sock_accept, one byte, close x{count}"] = SocketRow(
            "sock accept", connections=count
        )
    rows["tcp sendfile 1 MiB"] = SocketRow("sendfile", "tcp", 1, SENDFILE_SIZE, 1)
    for text in ("64 B", "1 KiB", "10 KiB", "100 KiB"):
        for count in (1, 10):
            rows[f"tls protocol {text} x{count}"] = SocketRow(
                "protocol", "tls", SIZES[text], SIZES[text], count
            )
    rows["tls streams 1 KiB x10"] = SocketRow("streams", "tls", 1024, 1024, 10)
    rows["tls handshake, one byte, close"] = SocketRow("accept", "tls")
    rows["idle tcp protocol, bytes"] = SocketRow("protocol", idle=True)
    rows["idle tcp streams, bytes"] = SocketRow("streams", idle=True)
    rows["idle tls protocol, bytes"] = SocketRow("protocol", "tls", idle=True)
    size = SIZES["100 KiB"]
    rows["idle tls protocol after 100 KiB, bytes"] = SocketRow(
        "protocol", "tls", size, size, idle=True
    )
    return rows


ROWS = _rows()


def make_certificate(folder: Path) -> None:
    """A key and a certificate of its own for the TLS rows."""
    if shutil.which("openssl") is None:
        raise measure.ContenderError("no openssl to make a certificate")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")),
        ],
        check=True,
        capture_output=True,
    )


@contextlib.contextmanager
def _server(loop: str, row: SocketRow, folder: Path) -> Iterator[tuple[int, str]]:
    """Starts the row's server on that loop; its process id and its address."""
    address = str(measure.free_port())
    if row.transport == "unix":
        address = tempfile.mktemp(dir=folder)
    if loop == BARE:
        if row.bare is None:
            raise NoSuchRowError
        program = native.program("micro/uvecho.c", with_libraries=True)
        command = [str(program), row.bare, address]
    else:
        place = f"{address}:{folder}" if row.transport == "tls" else address
        command = [sys.executable, "-m", "benchmarks.micro.server", loop, row.kind]
        command += [row.transport, place]
    with tempfile.TemporaryFile() as said:  # a pipe that nobody reads would stop it
        process = measure.spawn(command, measure.SERVER_CPU, stdout=subprocess.PIPE, stderr=said)
        assert process.stdout is not None
        try:
            select.select([process.stdout], [], [], START_SECONDS)
            if process.poll() is not None or process.stdout.readline() != b"ready\n":
                said.seek(0)
                text = said.read().decode(errors="replace").strip().splitlines()
                raise measure.ContenderError(text[-1] if text else "did not start")
            yield process.pid, address
        finally:
            measure.stop(process)
            process.stdout.close()


def _load_command(row: SocketRow, address: str, milliseconds: int) -> list[str]:
    if row.transport == "tls":
        kind = "handshake" if row.kind == "accept" else "echo"
        command = [sys.executable, "-m", "benchmarks.micro.tls_pump", kind, address]
        command += [str(row.request), str(row.connections), str(milliseconds)]
    else:
        kind = "accept" if row.kind.endswith("accept") else row.transport
        command = [str(native.program("load/pump.c")), kind, address, str(row.request)]
        command += [str(row.reply), str(row.connections), str(milliseconds)]
    return command


def _load(row: SocketRow, address: str, milliseconds: int, server: int) -> float:
    """Runs the load; microseconds of the server's CPU a message, counted once it is connected."""
    process = measure.spawn(
        _load_command(row, address, milliseconds),
        measure.LOAD_CPU,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        select.select([process.stdout], [], [], START_SECONDS)
        if process.poll() is None:
            process.stdout.readline()
        before = measure.cpu_seconds(server)
        out, error = process.communicate("go\n", timeout=milliseconds / 1e3 + 20)
        used = measure.cpu_seconds(server) - before
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise measure.ContenderError("the load got no answer") from None
    if process.returncode or int(out) == 0:
        raise measure.ContenderError(error.strip()[-300:] or "no message was answered")
    return used * 1e6 / int(out)


def _idle_bytes(row: SocketRow, pid: int, port: int) -> float:
    """RSS a connection costs that has answered a message and then waits."""
    from benchmarks.micro.tls_pump import connected, context

    measure.raise_file_limit()
    made = context()
    held: list[socket.socket] = []

    def hold(count: int) -> None:
        for _ in range(count):
            sock = connected(made, port) if row.transport == "tls" else measure.connect(port)
            held.append(sock)
            sock.sendall(b"m" * row.request)
            left = row.reply
            while left > 0:
                left -= len(sock.recv(left)) or left

    try:
        hold(100)
        before = measure.rss_bytes(pid)
        hold(IDLE_CONNECTIONS)
        return (measure.rss_bytes(pid) - before) / IDLE_CONNECTIONS
    finally:
        for sock in held:
            sock.close()


def measured(loop: str, name: str, milliseconds: int, folder: Path) -> float:
    """One figure; raises ContenderError where the loop cannot run the row."""
    row = ROWS[name]
    with _server(loop, row, folder) as (pid, address):
        if row.idle:
            return _idle_bytes(row, pid, int(address))
        _load(row, address, WARM_UP_MS, pid)
        return _load(row, address, milliseconds, pid)
