"""Very many mixed requests against one server: it must neither leak, crash nor answer wrongly.

    python -m benchmarks.soak --requests 1000000

The mix: single and pipelined requests, bodies by length and in chunks, heads cut into pieces,
malformed heads, connections reset in the middle of a body or of an answer, half-closed ones. The
answers are counted and checked; the server's resident memory is read after a tenth of the run and
at its end. Exit status 1 when an answer was wrong, the server died, or memory grew by more than
--growth KiB.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.sharedctypes import Synchronized

from fastaio import web

PIPELINE = 32
BODY = b"x" * 3000
CHUNKED = b"bb8\r\n" + BODY + b"\r\n0\r\n\r\n"
MALFORMED = (
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/9.9\r\nHost: a\r\n\r\n",
    b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 2\r\n\r\n",
    b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 9000 + b"\r\n\r\n",
    b"\xff\xfe\xfd\r\n\r\n",
)


# -- the server ------------------------------------------------------------------------------------


async def hello(request: web.Request) -> web.Response:
    return web.Response(text="Hello, World!")


async def suspend(request: web.Request) -> web.Response:
    await asyncio.sleep(0)
    return web.Response(text=request.match_info["name"])


async def echo(request: web.Request) -> web.Response:
    return web.Response(body=await request.read())


async def stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(64):
        await response.write(b"y" * 1024)
    await response.write_eof()
    return response


async def fail(request: web.Request) -> web.Response:
    raise LookupError("on purpose")


def make_app() -> web.Application:
    app = web.Application()
    app.add_routes(
        [
            web.get("/", hello),
            web.get("/suspend/{name}", suspend),
            web.post("/echo", echo),
            web.get("/stream", stream),
            web.get("/fail", fail),
        ]
    )
    return app


def serve(path: str) -> None:
    import logging

    logging.disable(logging.CRITICAL)
    web.run_app(make_app(), path=path, print=None, access_log=None)


# -- the load --------------------------------------------------------------------------------------


class Client:
    """One client process: connects, does one thing out of the mix, counts."""

    def __init__(self, path: str, seed: int) -> None:
        self.path = path
        self.random = random.Random(seed)
        self.wrong: list[str] = []
        self.steps: list[Callable[[], int]] = [
            self.pipelined,
            self.pipelined,
            self.bodies,
            self.in_pieces,
            self.malformed,
            self.reset_in_body,
            self.reset_in_answer,
            self.half_closed,
            self.failing,
        ]

    def connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(30)
        connection.connect(self.path)
        return connection

    def expect(self, connection: socket.socket, answers: int, status: bytes) -> None:
        """Reads until the peer closes; the answers must be so many, all with this status."""
        data = bytearray()
        try:
            while piece := connection.recv(1 << 16):
                data += piece
        except ConnectionError:
            pass
        finally:
            connection.close()
        found = data.count(b"HTTP/1.1 " + status)
        if found != answers or data.count(b"HTTP/1.1 ") != answers:
            self.wrong.append(f"{found} of {answers} answers {status!r}: {bytes(data[:200])!r}")

    def pipelined(self) -> int:
        paths = [b"/", b"/suspend/a%20b", b"/stream"]
        heads = [
            b"GET %s HTTP/1.1\r\nHost: a\r\nCookie: a=b\r\n\r\n" % self.random.choice(paths)
            for _ in range(PIPELINE - 1)
        ]
        heads.append(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        connection = self.connect()
        connection.sendall(b"".join(heads))
        self.expect(connection, PIPELINE, b"200")
        return PIPELINE

    def bodies(self) -> int:
        connection = self.connect()
        head = b"POST /echo HTTP/1.1\r\nHost: a\r\n"
        connection.sendall(head + b"Content-Length: 3000\r\n\r\n" + BODY)
        connection.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKED)
        connection.sendall(head + b"Connection: close\r\nContent-Length: 3000\r\n\r\n" + BODY[:10])
        connection.sendall(BODY[10:])
        self.expect(connection, 3, b"200")
        return 3

    def in_pieces(self) -> int:
        connection = self.connect()
        data = b"GET /suspend/x HTTP/1.1\r\nHost: a\r\nAccept: */*\r\nConnection: close\r\n\r\n"
        cuts = sorted(self.random.sample(range(1, len(data)), 3))
        for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
            connection.sendall(data[begin:end])
        self.expect(connection, 1, b"200")
        return 1

    def malformed(self) -> int:
        connection = self.connect()
        connection.sendall(self.random.choice(MALFORMED))
        data = connection.recv(1 << 16)
        connection.close()
        if not data.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5")):
            self.wrong.append(f"malformed: {data[:200]!r}")
        return 1

    def reset(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    def reset_in_body(self) -> int:
        connection = self.connect()
        connection.sendall(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3000\r\n\r\nabc")
        self.reset(connection)
        return 1

    def reset_in_answer(self) -> int:
        connection = self.connect()
        connection.sendall(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n" * 8)
        connection.recv(100)
        self.reset(connection)
        return 8

    def half_closed(self) -> int:
        connection = self.connect()
        connection.sendall(b"GET /suspend/z HTTP/1.1\r\nHost: a\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        self.expect(connection, 1, b"200")
        return 1

    def failing(self) -> int:
        connection = self.connect()
        connection.sendall(
            b"GET /fail HTTP/1.1\r\nHost: a\r\n\r\n"
            b"GET /fail HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        )
        self.expect(connection, 2, b"500")
        return 2


def load(path: str, seed: int, total: int, done: Synchronized[int]) -> None:
    client = Client(path, seed)
    counts: Counter[str] = Counter()
    while done.value < total and not client.wrong:
        step = client.random.choice(client.steps)
        requests = step()
        counts[step.__name__] += requests
        with done.get_lock():
            done.value += requests
    for wrong in client.wrong:
        print("wrong:", wrong, flush=True)
    print(dict(counts), flush=True)
    sys.exit(1 if client.wrong else 0)


# -- the run ---------------------------------------------------------------------------------------


def resident_kib(pid: int) -> int:
    with open(f"/proc/{pid}/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def wait_for(path: str, server: subprocess.Popen[bytes]) -> None:
    while server.poll() is None:
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(path) == 0:
                return
        time.sleep(0.02)
    sys.exit(f"the server ended with {server.returncode}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--clients", type=int, default=2)
    parser.add_argument("--growth", type=int, default=2048, help="KiB of memory allowed")
    parser.add_argument("--serve", metavar="PATH", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve)
        return 0
    path = os.path.join(tempfile.gettempdir(), f"fastaio-soak-{os.getpid()}.sock")
    server = subprocess.Popen([sys.executable, "-m", "benchmarks.soak", "--serve", path])
    try:
        wait_for(path, server)
        context = get_context("spawn")
        done = context.Value("q", 0)
        clients = [
            context.Process(target=load, args=(path, seed, arguments.requests, done))
            for seed in range(arguments.clients)
        ]
        for client in clients:
            client.start()
        while done.value < arguments.requests // 10 and any(c.is_alive() for c in clients):
            time.sleep(0.05)
        early = resident_kib(server.pid)
        for client in clients:
            client.join()
        late = resident_kib(server.pid)
        alive = server.poll() is None
    finally:
        server.terminate()
        server.wait()
        if os.path.exists(path):
            os.unlink(path)
    good = alive and late - early <= arguments.growth and all(c.exitcode == 0 for c in clients)
    print(f"{done.value} requests, resident {early} -> {late} KiB, server alive: {alive}")
    print("ok" if good else "FAILED")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
