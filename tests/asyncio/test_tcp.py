"""TCP transports with asyncio.Protocol: what asyncio's transports do, ours do."""

import asyncio
import contextlib
import contextvars
import gc
import socket
import struct
import sys
import warnings
import weakref
from asyncio import selector_events

import pytest


class Recorder(asyncio.Protocol):
    """Notes every call in order; `lost` is done with connection_lost()'s argument."""

    def __init__(self):
        loop = asyncio.get_running_loop()
        self.calls = []
        self.received = bytearray()
        self.made = loop.create_future()
        self.lost = loop.create_future()
        self.ended = loop.create_future()
        self.keep_open = False
        self.news = asyncio.Event()

    def connection_made(self, transport):
        self.calls.append("made")
        self.transport = transport
        self.made.set_result(transport)

    def data_received(self, data):
        assert type(data) is bytes
        self.calls.append("data")
        self.received += data
        self.news.set()

    def eof_received(self):
        self.calls.append("eof")
        self.ended.set_result(None)
        return self.keep_open

    def connection_lost(self, exc):
        self.calls.append("lost")
        self.lost.set_result(exc)

    def pause_writing(self):
        self.calls.append("pause")

    def resume_writing(self):
        self.calls.append("resume")

    async def receive(self, size):
        while len(self.received) < size:
            self.news.clear()
            await self.news.wait()
        data = bytes(self.received[:size])
        del self.received[:size]
        return data


@contextlib.asynccontextmanager
async def connected(server_factory=Recorder, client_factory=Recorder):
    """A server protocol and a client protocol, connected over TCP."""
    loop = asyncio.get_running_loop()
    accepted = loop.create_future()

    def factory():
        protocol = server_factory()
        accepted.set_result(protocol)
        return protocol

    server = await loop.create_server(factory, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    transport, client = await loop.create_connection(client_factory, *address)
    peer = await accepted
    await peer.made
    try:
        yield peer, client
    finally:
        for protocol in (peer, client):
            protocol.transport.abort()
        await asyncio.gather(peer.lost, client.lost)
        server.close()
        await server.wait_closed()


def test_echo_and_order_of_calls(run):
    async def main():
        async with connected() as (peer, client):
            client.transport.write(b"ping")
            assert await peer.receive(4) == b"ping"
            peer.transport.write(b"pong")
            assert await client.receive(4) == b"pong"
            client.transport.close()
            assert client.transport.is_closing()
            assert await client.lost is None
            assert await peer.lost is None
            assert peer.calls == ["made", "data", "eof", "lost"]
            assert client.calls == ["made", "data", "lost"]

    run(main())


@pytest.mark.parametrize("size", [1, 100, 65_536, 5_000_000])
def test_bytes_arrive_whole(run, size):
    data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)

    async def main():
        async with connected() as (peer, client):
            client.transport.write(data)
            assert await peer.receive(size) == data

    run(main())


def test_is_an_asyncio_transport(run):
    async def main():
        async with connected() as (peer, client):
            for protocol in (peer, client):
                assert isinstance(protocol.transport, asyncio.Transport)
                assert protocol.transport.get_protocol() is protocol

    run(main())


def test_extra_info(run):
    async def main():
        async with connected() as (peer, client):
            for ours, theirs in ((peer.transport, client.transport),) * 2:
                assert ours.get_extra_info("peername") == theirs.get_extra_info("sockname")
                assert ours.get_extra_info("nothing") is None
                assert ours.get_extra_info("nothing", 5) == 5
                sock = ours.get_extra_info("socket")
                assert sock.family == socket.AF_INET
                assert sock.type == socket.SOCK_STREAM
                assert sock.gettimeout() == 0
                assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
                assert ours.get_extra_info("socket") is sock
            peername = peer.transport.get_extra_info("peername")
        # Known before, and still known after the end.
        assert peer.transport.get_extra_info("peername") == peername
        assert client.transport.get_extra_info("peername") == (
            peer.transport.get_extra_info("sockname")
        )
        assert peer.transport.get_extra_info("socket").fileno() == -1

    run(main())


def test_write_limits(run):
    async def main():
        async with connected() as (_, client):
            transport = client.transport
            assert transport.get_write_buffer_limits() == (16384, 65536)
            transport.set_write_buffer_limits(high=1000)
            assert transport.get_write_buffer_limits() == (250, 1000)
            transport.set_write_buffer_limits(low=100)
            assert transport.get_write_buffer_limits() == (100, 400)
            transport.set_write_buffer_limits(high=10, low=5)
            assert transport.get_write_buffer_limits() == (5, 10)
            with pytest.raises(ValueError, match=r"high \(1\) must be >= low \(5\) must be >= 0"):
                transport.set_write_buffer_limits(high=1, low=5)

    run(main())


def test_flow_control(run):
    async def main():
        async with connected() as (peer, client):
            peer.transport.pause_reading()
            assert not peer.transport.is_reading()
            size = 0
            while "pause" not in client.calls:
                client.transport.write(b"x" * 100_000)
                size += 100_000
            assert client.transport.get_write_buffer_size() > 65536
            peer.transport.resume_reading()
            assert peer.transport.is_reading()
            await peer.receive(size)
            assert client.calls == ["made", "pause", "resume"]
            assert client.transport.get_write_buffer_size() == 0

    run(main())


def test_paused_reading_delivers_nothing(run):
    async def main():
        async with connected() as (peer, client):
            peer.transport.pause_reading()
            peer.transport.pause_reading()
            client.transport.write(b"later")
            for _ in range(5):
                await asyncio.sleep(0)
            assert peer.calls == ["made"]
            peer.transport.resume_reading()
            assert await peer.receive(5) == b"later"

    run(main())


def test_mutable_buffers_are_snapshots(run):
    async def main():
        async with connected() as (peer, client):
            peer.transport.pause_reading()
            data = bytearray(b"a" * 100)
            client.transport.write(data)
            client.transport.write(memoryview(data)[:50])
            data[:] = b"b" * 100
            peer.transport.resume_reading()
            assert await peer.receive(150) == b"a" * 150

    run(main())


def test_writelines(run):
    async def main():
        async with connected() as (peer, client):
            client.transport.writelines([b"a", bytearray(b"b"), b"", memoryview(b"c")])
            client.transport.writelines([])
            assert await peer.receive(3) == b"abc"
            with pytest.raises(TypeError):
                client.transport.writelines([b"a", "b"])

    run(main())


def test_write_refuses_what_is_not_bytes(run):
    async def main():
        async with connected() as (_, client):
            for wrong, name in (("text", "str"), ([1], "list"), (None, "NoneType")):
                with pytest.raises(TypeError) as asyncios:
                    selector_events._SelectorSocketTransport.write(None, wrong)
                with pytest.raises(TypeError) as caught:
                    client.transport.write(wrong)
                # "a bytes-like object" was put in other words by a bug-fix release.
                assert str(caught.value) == str(asyncios.value)
                assert str(caught.value).endswith(f", not '{name}'")
            client.transport.write(b"")

    run(main())


def test_write_eof(run):
    async def main():
        async with connected() as (peer, client):
            peer.keep_open = True
            assert client.transport.can_write_eof()
            client.transport.write(b"all")
            client.transport.write_eof()
            client.transport.write_eof()
            with pytest.raises(RuntimeError, match=r"Cannot call write\(\) after write_eof\(\)"):
                client.transport.write(b"more")
            await peer.ended
            assert await peer.receive(3) == b"all"
            peer.transport.write(b"answer")
            assert await client.receive(6) == b"answer"
            assert not peer.transport.is_closing()

    run(main())


def test_close_sends_what_was_written(run):
    data = b"x" * 3_000_000

    async def main():
        async with connected() as (peer, client):
            peer.transport.pause_reading()
            client.transport.write(data)
            client.transport.close()
            client.transport.close()
            peer.transport.resume_reading()
            assert await peer.receive(len(data)) == data
            assert await client.lost is None
            assert client.calls[-1] == "lost"

    run(main())


def test_abort_drops_what_was_written(run):
    async def main():
        async with connected() as (peer, client):
            peer.transport.pause_reading()
            client.transport.write(b"x" * 10_000_000)
            assert client.transport.get_write_buffer_size() > 0
            client.transport.abort()
            client.transport.abort()
            assert client.transport.get_write_buffer_size() == 0
            assert await client.lost is None

    run(main())


def test_abort_sends_what_the_socket_had_room_for(run):
    async def main():
        async with connected() as (peer, client):
            client.transport.write(b"last ")
            client.transport.write(b"words")
            client.transport.abort()
            assert await peer.lost is None
            assert await client.lost is None
            assert peer.received == b"last words"

    run(main())


def test_connection_lost_comes_in_a_later_turn(run):
    async def main():
        async with connected() as (_, client):
            client.transport.close()
            assert client.calls == ["made"]
            await client.lost
            assert client.transport.get_protocol() is None

    run(main())


def test_write_after_close_is_silent_then_warns(run, caplog):
    async def main():
        async with connected() as (_, client):
            client.transport.abort()
            for _ in range(4):
                client.transport.write(b"x")
            assert caplog.records == []
            client.transport.write(b"x")
            client.transport.write(b"x")
            assert {record.getMessage() for record in caplog.records} == {
                "socket.send() raised exception."
            }

    run(main())


def test_reset_by_peer(run):
    async def main():
        async with connected() as (peer, client):
            sock = client.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.transport.abort()
            assert isinstance(await peer.lost, ConnectionResetError)
            assert peer.calls == ["made", "lost"]

    run(main())


def test_data_received_raises(run):
    class Failing(Recorder):
        def data_received(self, data):
            raise ZeroDivisionError(data)

    async def main():
        contexts = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: contexts.append(context))
        async with connected(Failing) as (peer, client):
            client.transport.write(b"x")
            assert isinstance(await peer.lost, ZeroDivisionError)
        (context,) = contexts
        assert context["message"] == "Fatal error: protocol.data_received() call failed."
        assert context["transport"] is peer.transport
        assert context["protocol"] is peer
        assert isinstance(context["exception"], ZeroDivisionError)

    run(main())


def test_eof_received_raises(run):
    class Failing(Recorder):
        def eof_received(self):
            raise ZeroDivisionError

    async def main():
        contexts = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: contexts.append(context))
        async with connected(Failing) as (peer, client):
            client.transport.close()
            assert isinstance(await peer.lost, ZeroDivisionError)
        assert [context["message"] for context in contexts] == [
            "Fatal error: protocol.eof_received() call failed."
        ]

    run(main())


def test_set_protocol(run):
    async def main():
        async with connected() as (peer, client):
            other = Recorder()
            peer.transport.set_protocol(other)
            assert peer.transport.get_protocol() is other
            client.transport.write(b"x")
            assert await other.receive(1) == b"x"
            assert other.calls == ["data"]
            peer.transport.set_protocol(peer)

    run(main())


def test_reads_run_in_the_context_of_the_transport(run):
    variable = contextvars.ContextVar("variable", default="default")

    class Context(Recorder):
        def __init__(self):
            super().__init__()
            self.seen = []

        def data_received(self, data):
            self.seen.append(variable.get())
            variable.set(data.decode())
            super().data_received(data)

    async def main():
        variable.set("main")
        async with connected(Context, Context) as (peer, client):
            variable.set("changed")
            for letter in (b"a", b"b"):
                client.transport.write(letter)
                await peer.receive(1)
                peer.transport.write(letter)
                await client.receive(1)
            assert peer.seen == ["main", "a"]
            assert client.seen == ["main", "a"]
            assert variable.get() == "changed"

    run(main())


@pytest.mark.parametrize("method", ["data_received", "get_buffer", "eof_received"])
def test_failures_are_reported_in_the_context_of_the_transport(loop, method):
    variable = contextvars.ContextVar("variable", default="default")
    seen = loop.create_future()
    loop.set_exception_handler(lambda *_: seen.set_result(variable.get()))

    def fail(*_):
        raise ZeroDivisionError

    base = asyncio.BufferedProtocol if method == "get_buffer" else asyncio.Protocol
    protocol = type("Failing", (base,), {method: fail})

    async def main():
        variable.set("main")
        ours, theirs = socket.socketpair()
        with theirs:
            await loop.create_connection(protocol, sock=ours)
            variable.set("changed")
            if method != "eof_received":
                theirs.send(b"x")
            theirs.shutdown(socket.SHUT_WR)
            assert await seen == "main"
            await asyncio.sleep(0)

    loop.run_until_complete(main())


@pytest.mark.skipif(sys.version_info < (3, 15), reason="made for each call before 3.15")
def test_all_calls_of_a_connection_are_made_in_one_context(run):
    variable = contextvars.ContextVar("variable", default=())

    def note(what):
        variable.set((*variable.get(), what))

    class Context(Recorder):
        def __init__(self):
            super().__init__()
            note("factory")
            self.over = asyncio.get_running_loop().create_future()

        def connection_made(self, transport):
            super().connection_made(transport)
            note("made")

        def data_received(self, data):
            note(data.decode())
            super().data_received(data)

        def eof_received(self):
            note("eof")

        def connection_lost(self, exc):
            note("lost")
            self.over.set_result(variable.get())

    async def main():
        variable.set(("main",))
        peers = []

        def factory():
            peers.append(Context())
            return peers[-1]

        loop = asyncio.get_running_loop()
        async with await loop.create_server(factory, "127.0.0.1", 0) as server:
            variable.set(("later",))
            address = server.sockets[0].getsockname()
            for _ in range(2):
                transport, client = await loop.create_connection(Context, *address)
                transport.write(b"a")
                transport.write_eof()
                # The client's factory is called by the task that connects.
                assert await client.over == ("later", "made", "eof", "lost")
                variable.set(("later",))
        for peer in peers:
            assert await peer.over == ("main", "factory", "made", "a", "eof", "lost")

    run(main())


def test_attributes_and_weak_references(run):
    async def main():
        async with connected() as (peer, _):
            peer.transport.note = 5
            assert peer.transport.note == 5
            assert weakref.ref(peer.transport)() is peer.transport
            assert peer.transport._start_tls_compatible is True
            assert peer.transport._sendfile_compatible is asyncio.constants._SendfileMode.TRY_NATIVE
            assert peer.transport._extra["peername"] == peer.transport.get_extra_info("peername")

    run(main())


def test_unclosed_transport_warns(loop_factory):
    loop = loop_factory()

    async def main():
        ours, theirs = socket.socketpair()
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
        return transport, theirs

    transport, theirs = loop.run_until_complete(main())
    transport.pause_reading()
    loop.run_until_complete(asyncio.sleep(0))
    # asyncio's is in a cycle with the socket, whose own warning may come first.
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del transport
        gc.collect()
    with theirs:
        assert theirs.recv(1) == b""
    loop.close()
    messages = [str(warning.message) for warning in caught]
    assert any("unclosed transport <" in message for message in messages), messages
