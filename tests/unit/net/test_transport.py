"""csrc/net/transport.c, stream.c, bridge.c: what users do to a transport from inside its calls."""

import asyncio
import gc
import logging
import os
import socket
import sys
import threading
import weakref

import pytest

import fastaio
from fastaio import _core


def pair():
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    return ours, theirs


class Base(asyncio.Protocol):
    def __init__(self):
        self.lost = asyncio.get_running_loop().create_future()
        self.calls = []

    def connection_made(self, transport):
        self.transport = transport

    def connection_lost(self, exc):
        self.calls.append("lost")
        self.lost.set_result(exc)


ACTIONS = {
    "abort": lambda protocol: protocol.transport.abort(),
    "close": lambda protocol: protocol.transport.close(),
    "write and close": lambda protocol: (
        protocol.transport.write(b"x" * 100_000),
        protocol.transport.close(),
    ),
    "exchange": lambda protocol: protocol.transport.set_protocol(Base()),
    "pause": lambda protocol: protocol.transport.pause_reading(),
    "raise": lambda protocol: 1 / 0,
    "close the socket": lambda protocol: protocol.transport._sock.close(),
    "write much": lambda protocol: protocol.transport.write(b"x" * 3_000_000),
    "collect": lambda protocol: gc.collect(),
}


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize(
    "method",
    ["connection_made", "data_received", "eof_received", "pause_writing", "resume_writing"],
)
def test_anything_from_inside_a_call(method, action):
    """Nothing crashes, and the connection ends once."""

    def act(self, *args):
        if method == "connection_made":
            Base.connection_made(self, *args)
        if method not in self.calls:
            self.calls.append(method)
            self.acted.set()
            ACTIONS[action](self)
        return True

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: None)
        ours, theirs = pair()
        protocol = type("Acting", (Base,), {method: act})()
        protocol.acted = asyncio.Event()
        transport = _core.Transport(loop, ours, protocol)
        with theirs:
            await asyncio.sleep(0)
            if method == "data_received":
                theirs.send(b"x" * 1000)
            elif method == "eof_received":
                theirs.shutdown(socket.SHUT_WR)
            elif method != "connection_made":
                transport.write(b"x" * 2_000_000)
            while method == "resume_writing" and not protocol.acted.is_set():
                await loop.sock_recv(theirs, 1_000_000)
            await protocol.acted.wait()
            transport.abort()
            while transport.get_protocol() is not None:
                await asyncio.sleep(0)
            assert protocol.calls.count("lost") == (action != "exchange")

    fastaio.run(main())


def test_bytes_with_a_destructor_that_aborts():
    """Output is released while it is being sent."""

    class Bomb(bytes):
        transport = None

        def __del__(self):
            if Bomb.transport is not None:
                Bomb.transport.abort()

    async def main():
        loop = asyncio.get_running_loop()
        ours, theirs = pair()
        protocol = Base()
        transport = _core.Transport(loop, ours, protocol)
        with theirs:
            await asyncio.sleep(0)
            Bomb.transport = transport
            for _ in range(5):
                transport.write(Bomb(b"x" * 3000))
                transport.write(b"y" * 10)
            await protocol.lost
            assert transport.get_write_buffer_size() == 0

    fastaio.run(main())


def test_descriptor_closed_behind_the_transport():
    async def main():
        loop = asyncio.get_running_loop()
        ours, theirs = pair()
        protocol = Base()
        transport = _core.Transport(loop, ours, protocol)
        with theirs:
            await asyncio.sleep(0)
            fd = ours.detach()
            os.close(fd)
            another, other = pair()  # takes the number over
            with another, other:
                second = Base()
                _core.Transport(loop, another, second)
                await asyncio.sleep(0)
                transport.abort()
                await protocol.lost
                other.send(b"x")
                second.transport.abort()
                await second.lost

    fastaio.run(main())


def test_socket_made_late_owns_the_descriptor():
    async def main():
        loop = asyncio.get_running_loop()
        accepted = loop.create_future()

        class Accepted(Base):
            def connection_made(self, transport):
                super().connection_made(transport)
                accepted.set_result(self)

        async with await loop.create_server(Accepted, "127.0.0.1", 0) as server:
            address = server.sockets[0].getsockname()
            _, writer = await asyncio.open_connection(*address)
            protocol = await accepted
            sock = protocol.transport._sock
            assert sock is protocol.transport._sock
            assert sock.fileno() == protocol.transport._sock_fd
            assert sock.gettimeout() == 0
            assert sock.family == socket.AF_INET
            writer.close()
            await protocol.lost
            assert sock.fileno() == -1
            assert protocol.transport._sock is None
            assert protocol.transport._loop is None

    fastaio.run(main())


def test_extra_info_after_the_end_when_never_asked_before():
    async def main():
        loop = asyncio.get_running_loop()
        accepted = loop.create_future()

        class Accepted(Base):
            def connection_made(self, transport):
                super().connection_made(transport)
                accepted.set_result(self)

        async with await loop.create_server(Accepted, "127.0.0.1", 0) as server:
            address = server.sockets[0].getsockname()
            _, writer = await asyncio.open_connection(*address)
            client = writer.get_extra_info("sockname")
            protocol = await accepted
            writer.close()
            await protocol.lost
            assert protocol.transport.get_extra_info("peername") == client
            assert protocol.transport.get_extra_info("sockname") == address
            sock = protocol.transport.get_extra_info("socket")
            assert (sock.family, sock.fileno()) == (socket.AF_INET, -1)
            assert set(protocol.transport._extra) == {"peername", "sockname", "socket"}

    fastaio.run(main())


def test_loop_closed_with_the_transport_open():
    loop = fastaio.new_event_loop()
    ours, theirs = pair()

    async def main():
        transport = _core.Transport(loop, ours, Base())
        await asyncio.sleep(0)
        return transport

    transport = loop.run_until_complete(main())
    loop.close()
    with theirs:
        with pytest.raises(RuntimeError, match="Event loop is closed"):
            transport.close()
        reference = weakref.ref(transport)
        with pytest.warns(ResourceWarning, match="unclosed transport <Transport closing fd="):
            del transport
            gc.collect()
        gc.collect()  # what caught the warning has its source
        assert reference() is None
        assert ours.fileno() == -1


def test_watched_transport_is_kept_by_its_loop():
    async def main():
        loop = asyncio.get_running_loop()
        ours, theirs = pair()
        received = loop.create_future()

        class Receiving(asyncio.Protocol):
            def data_received(self, data):
                received.set_result(data)

        reference = weakref.ref(_core.Transport(loop, ours, Receiving()))
        with theirs:
            await asyncio.sleep(0)
            gc.collect()
            assert reference() is not None
            theirs.send(b"x")
            assert await received == b"x"
            reference().abort()
            # The watch's last reference goes with one of the next polls.
            while reference() is not None:
                await asyncio.sleep(0)

    fastaio.run(main())


def test_keyboard_interrupt_ends_the_run():
    class Interrupting(Base):
        def data_received(self, data):
            raise KeyboardInterrupt

    loop = fastaio.new_event_loop()
    ours, theirs = pair()

    async def main():
        protocol = Interrupting()
        transport = _core.Transport(loop, ours, protocol)
        await asyncio.sleep(0)
        theirs.send(b"x")
        try:
            await protocol.lost
        finally:
            transport.abort()

    with theirs:
        task = loop.create_task(main())
        with pytest.raises(KeyboardInterrupt):
            loop.run_until_complete(task)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(task)
        loop.run_until_complete(asyncio.sleep(0))
    loop.close()


def test_debug_mode_logs(caplog):
    caplog.set_level(logging.DEBUG, "asyncio")

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_debug(True)
        ours, theirs = pair()
        protocol = Base()
        transport = _core.Transport(loop, ours, protocol)
        await asyncio.sleep(0)
        transport.pause_reading()
        transport.resume_reading()
        theirs.close()
        await protocol.lost

    fastaio.run(main())
    messages = "\n".join(record.getMessage() for record in caplog.records)
    for text in ("pauses reading", "resumes reading", "received EOF"):
        assert text in messages


def test_repr():
    async def main():
        loop = asyncio.get_running_loop()
        ours, theirs = pair()
        fd = ours.fileno()
        transport = _core.Transport(loop, ours, Base())
        with theirs:
            assert repr(transport) == f"<Transport fd={fd} read=idle write=<idle, bufsize=0>>"
            await asyncio.sleep(0)
            assert repr(transport) == f"<Transport fd={fd} read=polling write=<idle, bufsize=0>>"
            transport.write(b"x" * 5_000_000)
            assert "write=<polling, bufsize=" in repr(transport)
            transport.close()
            assert repr(transport).startswith(f"<Transport closing fd={fd} read=idle")
            transport.abort()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert repr(transport) == f"<Transport closed fd={fd}>"

    fastaio.run(main())


def test_arguments():
    async def main():
        loop = asyncio.get_running_loop()
        ours, theirs = pair()
        with ours, theirs:
            with pytest.raises(TypeError, match="loop must be a fastaio loop, not object"):
                _core.Transport(object(), ours, Base())
            with pytest.raises(TypeError, match="extra must be a dict, not list"):
                _core.Transport(loop, ours, Base(), None, [])
            with pytest.raises(TypeError, match="extra must be a dict, not list"):
                _core.DatagramTransport(loop, ours, Base(), None, None, [])
            reader, writer = os.pipe()
            with open(reader, "rb", 0) as end, open(writer, "wb", 0):
                with pytest.raises(TypeError, match="extra must be a dict, not list"):
                    _core.ReadPipeTransport(loop, end, Base(), None, [])
            with pytest.raises(TypeError, match="context must be a contextvars.Context, not dict"):
                _core.Transport(loop, ours, Base(), None, None, None, {})
            with pytest.raises(AttributeError, match="connection_made"):
                _core.Transport(loop, ours, object())
            with pytest.raises(TypeError, match="missing required argument"):
                _core.Transport(loop)

    fastaio.run(main())


def test_a_descriptor_that_cannot_be_watched_ends_the_wait():
    """It is closed after reading was resumed and before the kernel was told."""

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: None)
        ours, theirs = pair()
        with theirs:
            protocol = Base()
            transport = _core.Transport(loop, ours, protocol)
            await asyncio.sleep(0)
            transport.pause_reading()
            theirs.send(b"seen by nobody")
            await asyncio.sleep(0.001)  # the kernel is told that nobody reads
            transport.resume_reading()
            os.close(ours.detach())
            begun = loop.time()
            loop.call_later(10, loop.stop)
            await protocol.lost
            assert loop.time() - begun < 5

    fastaio.run(main())


def test_gathered_writes_leave_in_one_piece():
    """Three writes of a turn are one segment, told by a Unix socket's message boundaries."""

    async def main():
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        theirs.setblocking(False)
        protocol = Base()
        transport = _core.Transport(loop, ours, protocol)
        with theirs:
            await asyncio.sleep(0)
            transport.write(b"one ")
            transport.write(bytearray(b"two "))
            transport.writelines([b"three ", b"four"])
            assert await loop.sock_recv(theirs, 1000) == b"one two three four"
            transport.abort()
            await protocol.lost

    fastaio.run(main())


@pytest.mark.skipif(sys.platform != "linux", reason="counts the threads' loops by Linux sockets")
def test_a_loop_in_each_of_many_threads():
    failures = []

    async def main():
        loop = asyncio.get_running_loop()

        class Echo(asyncio.Protocol):
            def connection_made(self, transport):
                self.transport = transport

            def data_received(self, data):
                self.transport.write(data)

        async with await loop.create_server(Echo, "127.0.0.1", 0) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            for number in range(200):
                writer.write(b"%3d" % number)
                assert await reader.readexactly(3) == b"%3d" % number
            writer.close()
            await writer.wait_closed()

    def thread():
        try:
            fastaio.run(main())
        except BaseException as exc:
            failures.append(exc)

    threads = [threading.Thread(target=thread) for _ in range(5)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert failures == []


@pytest.mark.parametrize("then", ["close", "abort", "write_eof"])
def test_output_that_closes_when_it_is_dropped(then):
    """The end is told once: seen by a protocol that runs the loop in its connection_lost()."""
    loop = fastaio.new_event_loop()
    fastaio.allow_nested(loop)

    class Ends(bytes):
        def __del__(self):
            getattr(protocol.transport, then)()

    class Nesting(Base):
        def connection_lost(self, exc):
            super().connection_lost(exc)
            loop.run_until_complete(asyncio.sleep(0))

    async def main():
        nonlocal protocol
        ours, theirs = pair()
        _, protocol = await loop.create_connection(Nesting, sock=ours)
        theirs.close()
        protocol.transport.pause_reading()
        protocol.transport.write(Ends(b"x"))  # fails at the end of the turn
        await protocol.lost
        await asyncio.sleep(0)
        assert protocol.calls == ["lost"]

    protocol = None
    loop.run_until_complete(main())
    loop.close()
