"""Real servers and clients over loopback sockets, on asyncio's own loop, on uvloop and on ours."""

import asyncio
import contextlib
import gc
import re
import threading
import time
import warnings

import pytest
import uvloop

import fastaio
from fastaio import http

FACTORIES = {
    "asyncio": asyncio.SelectorEventLoop,
    "uvloop": uvloop.new_event_loop,
    "fastaio": fastaio.new_event_loop,
}


@pytest.fixture(params=FACTORIES)
def loop_factory(request):
    return FACTORIES[request.param]


@pytest.fixture
def run(loop_factory):
    """run(coroutine) as asyncio.run() does it, on the loop under test; at most 20 seconds."""

    def run(main, *, debug=None):
        with asyncio.Runner(loop_factory=loop_factory, debug=debug) as runner:
            return runner.run(asyncio.wait_for(main, 20))

    return run


class Answer:
    """One response as a client reads it."""

    def __init__(self, head, body):
        line, _, fields = head.partition("\r\n")
        self.version, status, self.reason = line.split(" ", 2)
        self.status = int(status)
        self.fields = {
            name.lower(): value
            for name, value in re.findall(r"^([^:\r\n]+): ?([^\r\n]*)", fields, re.MULTILINE)
        }
        self.body = body

    def __repr__(self):
        return f"<Answer {self.status} {self.fields} {self.body[:80]!r}>"


class Client:
    """A raw HTTP/1.1 client: sends bytes as they are, reads answers by their framing."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer

    async def send(self, data):
        self.writer.write(data)
        await self.writer.drain()

    def end(self):
        """Half-close: no more will be sent."""
        self.writer.write_eof()

    def abort(self):
        self.writer.transport.abort()

    async def read(self, method="GET"):
        """The next answer; 100 Continue is one, too."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        answer = Answer(head, b"")
        if method == "HEAD" or answer.status < 200 or answer.status in (204, 304):
            return answer
        if answer.fields.get("transfer-encoding") == "chunked":
            while size := int(await self.reader.readuntil(b"\r\n"), 16):
                answer.body += (await self.reader.readexactly(size + 2))[:-2]
            await self.reader.readuntil(b"\r\n")
        elif "content-length" in answer.fields:
            answer.body = await self.reader.readexactly(int(answer.fields["content-length"]))
        else:
            answer.body = await self.reader.read()
        return answer

    async def ask(self, data, method="GET"):
        await self.send(data)
        return await self.read(method)

    async def closed(self):
        """Whether the server closed without sending anything more."""
        return await self.reader.read() == b""


class Server:
    """A running server and clients of it."""

    def __init__(self, http_server, listener, clients):
        self.http = http_server
        self.listener = listener
        self.clients = clients

    @property
    def address(self):
        return self.listener.sockets[0].getsockname()

    async def connect(self, **options):
        reader, writer = await asyncio.open_connection(*self.address, **options)
        self.clients.append(writer)
        return Client(reader, writer)


@contextlib.asynccontextmanager
async def running(handler, **settings):
    """A server with `handler` on a free port of the loopback, shut down at the end."""
    loop = asyncio.get_running_loop()
    server = http.HttpServer(handler, loop=loop, **settings)
    listener = await loop.create_server(server, "127.0.0.1", 0)
    clients = []
    try:
        yield Server(server, listener, clients)
    finally:
        for writer in clients:
            writer.close()
        listener.close()
        await server.shutdown(5)
        for writer in clients:
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
        await listener.wait_closed()


@pytest.fixture
def serving():
    return running


def request_bytes(target="/", method="GET", body=b"", **fields):
    """A request; fields with underscores for hyphens."""
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@pytest.fixture
def req():
    return request_bytes


class Crowd:
    """Threads that call functions again and again, until they are through or are told to stop."""

    def __init__(self):
        self.threads = []
        self.errors = []
        self.stopping = threading.Event()

    def work(self, function, args):
        try:
            function(*args)
        except BaseException as exc:
            self.errors.append(exc)

    def start(self, function, *args):
        thread = threading.Thread(target=self.work, args=(function, args))
        self.threads.append(thread)
        thread.start()

    def repeat(self, function, *args):
        def until_stopped():
            while not self.stopping.is_set():
                function(*args)

        self.start(until_stopped)

    def collect(self):
        """Begin a thread that collects; where there is no GIL all others stand still meanwhile."""

        def collect():
            begin = time.perf_counter()
            gc.collect()
            self.stopping.wait(4 * (time.perf_counter() - begin))

        self.repeat(collect)

    def alive(self):
        return any(thread.is_alive() for thread in self.threads)

    def join(self, count):
        """Wait for the first ones."""
        for thread in self.threads[:count]:
            thread.join(50)
            assert not thread.is_alive()

    async def until_done(self):
        while self.alive():
            await asyncio.sleep(0.001)

    def end(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(30)
        assert not self.alive()
        if self.errors:
            raise ExceptionGroup("in threads", self.errors)

    @staticmethod
    def run(main):
        """Without asyncio.Runner, which ends by all_tasks(): in CPython 3.14 that crashes while
        another thread's collection ends tasks, whatever the loop."""
        loop = fastaio.new_event_loop()
        try:
            loop.run_until_complete(asyncio.wait_for(main(), 50))
            loop.run_until_complete(loop.shutdown_default_executor())
        finally:
            loop.close()


@pytest.fixture
def crowd():
    crowd = Crowd()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield crowd
        crowd.end()
        gc.collect()
