"""asyncio.BufferedProtocol on both loops."""

import asyncio
import socket

import pytest


class Buffered(asyncio.BufferedProtocol):
    def __init__(self, size=100):
        loop = asyncio.get_running_loop()
        self.buffer = bytearray(size)
        self.received = bytearray()
        self.news = asyncio.Event()
        self.lost = loop.create_future()
        self.hints = set()

    def get_buffer(self, sizehint):
        self.hints.add(sizehint)
        return self.buffer

    def buffer_updated(self, nbytes):
        self.received += self.buffer[:nbytes]
        # No export may be left: the buffer can be resized here.
        self.buffer.append(0)
        self.news.set()

    def connection_lost(self, exc):
        self.lost.set_result(exc)

    async def receive(self, size):
        while len(self.received) < size:
            self.news.clear()
            await self.news.wait()
        return bytes(self.received)


async def connected(factory):
    ours, theirs = socket.socketpair()
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_connection(factory, sock=ours)
    theirs.setblocking(False)
    return transport, protocol, theirs


def test_bytes_arrive(run):
    data = bytes(range(256)) * 100

    async def main():
        transport, protocol, sock = await connected(Buffered)
        with sock:
            await asyncio.get_running_loop().sock_sendall(sock, data)
            assert await protocol.receive(len(data)) == data
            assert protocol.hints == {-1}
        assert await protocol.lost is None
        assert transport.is_closing()

    run(main())


@pytest.mark.parametrize(
    ("method", "value", "message", "kind"),
    [
        ("get_buffer", ZeroDivisionError(), "get_buffer() call failed.", ZeroDivisionError),
        ("buffer_updated", ZeroDivisionError(), "buffer_updated() call failed.", ZeroDivisionError),
        ("get_buffer", bytearray(), "get_buffer() call failed.", RuntimeError),
    ],
)
def test_failing_protocol(run, method, value, message, kind):
    def fail(self, *args):
        if isinstance(value, Exception):
            raise value
        return value

    async def main():
        contexts = []
        asyncio.get_running_loop().set_exception_handler(lambda _, c: contexts.append(c))
        failing = type("Failing", (Buffered,), {method: fail})
        _, protocol, sock = await connected(failing)
        with sock:
            sock.send(b"x")
            assert isinstance(await protocol.lost, kind)
        (context,) = contexts
        assert context["message"] == f"Fatal error: protocol.{message}"
        if kind is RuntimeError:
            assert str(context["exception"]) == "get_buffer() returned an empty buffer"

    run(main())


def test_pause_inside_buffer_updated(run):
    class Pausing(Buffered):
        def connection_made(self, transport):
            self.transport = transport

        def buffer_updated(self, nbytes):
            super().buffer_updated(nbytes)
            self.transport.pause_reading()

    async def main():
        transport, protocol, sock = await connected(lambda: Pausing(10))
        with sock:
            sock.send(b"x" * 25)
            await protocol.receive(10)
            for _ in range(5):
                await asyncio.sleep(0)
            assert protocol.received == b"x" * 10
            transport.resume_reading()
            await protocol.receive(20)
        transport.abort()
        await protocol.lost

    run(main())


def test_switch_between_kinds_of_protocol(run):
    class Plain(asyncio.Protocol):
        def __init__(self):
            self.received = asyncio.Queue()

        def data_received(self, data):
            self.received.put_nowait(data)

    async def main():
        transport, protocol, sock = await connected(Buffered)
        with sock:
            plain = Plain()
            transport.set_protocol(plain)
            sock.send(b"plain")
            assert await plain.received.get() == b"plain"
            transport.set_protocol(protocol)
            sock.send(b"buffered")
            assert await protocol.receive(8) == b"buffered"
        await protocol.lost

    run(main())


@pytest.mark.parametrize("method", ["pause_reading", "close", "abort"])
def test_a_buffer_given_while_the_transport_is_stopped_is_filled(run, method):
    class Stopping(Buffered):
        def connection_made(self, transport):
            self.transport = transport

        def get_buffer(self, sizehint):
            getattr(self.transport, method)()
            return super().get_buffer(sizehint)

    async def main():
        transport, protocol, sock = await connected(Stopping)
        with sock:
            sock.send(b"x")
            assert await protocol.receive(1) == b"x"
            transport.abort()
            assert await protocol.lost is None

    run(main())


@pytest.mark.parametrize(
    ("buffer", "message"),
    [
        (b"read-only", "Fatal read error on socket transport"),
        ([1], "Fatal read error on socket transport"),
        (memoryview(bytearray(8))[::2], "Fatal read error on socket transport"),
        (None, "Fatal error: protocol.get_buffer() call failed."),
        (5, "Fatal error: protocol.get_buffer() call failed."),
    ],
    ids=repr,
)
def test_what_cannot_be_read_into(run, reports, buffer, message):
    class Wrong(Buffered):
        def get_buffer(self, sizehint):
            return buffer

    async def main():
        _, protocol, sock = await connected(Wrong)
        with sock:
            sock.send(b"x")
            assert isinstance(await protocol.lost, (TypeError, BufferError))

    run(main())
    [report] = reports
    reports.clear()
    assert report["message"] == message
