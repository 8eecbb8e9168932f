"""Attributes of transports that programs set, as they may on asyncio's.

The names are those that the running Python's own classes have.
"""

import asyncio
import contextlib
import contextvars
import os
import socket
import sys
from asyncio import base_events, base_subprocess, selector_events, sslproto, unix_events
from unittest import mock

import pytest

CLASSES = {
    "socket": selector_events._SelectorSocketTransport,
    "datagram": selector_events._SelectorDatagramTransport,
    "read pipe": unix_events._UnixReadPipeTransport,
    "write pipe": unix_events._UnixWritePipeTransport,
    "tls": sslproto._SSLProtocolTransport,
    "server": base_events.Server,
    "subprocess": base_subprocess.BaseSubprocessTransport,
}

#: Steps of asyncio's own transports, which ours take at once.
STEPS = {
    "_adjust_leftover_buffer",
    "_buffer_factory",
    "_get_sendmsg_buffer",
    "_read_ready__data_received",
    "_read_ready__get_buffer",
    "_read_ready__on_eof",
    "_write_send",
    "_write_sendmsg",
}


keeps_context = pytest.mark.skipif(
    sys.version_info < (3, 15), reason="transports have a context from 3.15 on"
)


class Recorder(asyncio.Protocol):
    def __init__(self):
        self.lost = asyncio.get_running_loop().create_future()
        self.received = asyncio.Event()
        self.data = b""
        self.calls = []

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.data += data
        self.received.set()

    def datagram_received(self, data, address):
        self.data_received(data)

    def pause_writing(self):
        self.calls.append("pause")

    def resume_writing(self):
        self.calls.append("resume")

    def connection_lost(self, exc):
        if not self.lost.done():
            self.lost.set_result(exc)


@contextlib.asynccontextmanager
async def made(kind, server_context=None, client_context=None):
    """A transport, its protocol, and a descriptor or socket at the other end (or None)."""
    loop = asyncio.get_running_loop()
    async with contextlib.AsyncExitStack() as stack:
        other = None
        if kind == "socket":
            ours, other = socket.socketpair()
            stack.enter_context(other)
            other.setblocking(False)
            transport, protocol = await loop.create_connection(Recorder, sock=ours)
        elif kind == "datagram":
            transport, protocol = await loop.create_datagram_endpoint(Recorder, ("127.0.0.1", 0))
        elif kind in ("read pipe", "write pipe"):
            ends = os.pipe()
            ours = ends[kind == "write pipe"]
            other = ends[kind == "read pipe"]
            stack.callback(os.close, other)
            pipe = open(ours, "wb" if kind == "write pipe" else "rb", 0)  # noqa: SIM115
            connect = loop.connect_write_pipe if kind == "write pipe" else loop.connect_read_pipe
            transport, protocol = await connect(Recorder, pipe)
        elif kind == "server":
            transport = await loop.create_server(Recorder, "127.0.0.1", 0)
            protocol = None
        elif kind == "subprocess":
            transport, protocol = await loop.subprocess_exec(asyncio.SubprocessProtocol, "true")
            await transport._wait()
        else:
            server = await loop.create_server(Recorder, "127.0.0.1", 0, ssl=server_context)
            stack.callback(server.close)
            transport, protocol = await loop.create_connection(
                Recorder,
                *server.sockets[0].getsockname(),
                ssl=client_context,
                server_hostname="localhost",
            )
        try:
            yield transport, protocol, other
        finally:
            getattr(transport, "abort", transport.close)()
            if isinstance(protocol, Recorder):
                await protocol.lost


#: What is set where any object will not do.
VALUES = {"_high_water": 7, "_low_water": 3, "_conn_lost": 2, "_extra": {}, "_protocol": None}
FLAGS = {"_paused", "_closing", "_eof", "_protocol_paused", "_protocol_connected"}
KEPT = {"_sock", "_pipe"}
#: Of the bases of the transport for TLS, which does not use them.
UNSET = {"_extra", "_high_water", "_low_water", "_protocol_paused"}


@pytest.mark.parametrize("kind", CLASSES)
def test_all_can_be_set(run, assigned, kind, server_context, client_context):
    async def main():
        async with made(kind, server_context, client_context) as (transport, protocol, _):
            names = {*assigned(CLASSES[kind]), "another"}
            for name in sorted(names - UNSET if kind == "tls" else names):
                before = getattr(transport, name, None)
                values = [VALUES.get(name, object())]
                if name == "_protocol":
                    values = [type(protocol)()]
                elif name == "_buffer":
                    values = [type(before)()]
                elif name in KEPT:
                    values = [before]
                elif name in FLAGS:
                    values = [True, False]
                for value in values:
                    setattr(transport, name, value)
                    now = getattr(transport, name)
                    assert now is value or now == value, name
                setattr(transport, name, before)
                assert getattr(transport, name) in (before, None), name

    run(main())


@pytest.mark.parametrize("kind", [kind for kind in CLASSES if kind != "subprocess"])
def test_all_are_there(run, assigned, kind, server_context, client_context):
    async def main():
        async with made(kind, server_context, client_context) as (transport, _, _):
            names = {*assigned(CLASSES[kind]), *dir(CLASSES[kind])} - STEPS - {"__weakref__"}
            names -= UNSET if kind == "tls" else set()
            missing = {name for name in names if not hasattr(transport, name)}
            assert missing == set()
            transport.another = 5
            assert vars(transport)["another"] == 5

    run(main())


@pytest.mark.parametrize("kind", ["socket", "read pipe"])
def test_paused_says_what_is_set(run, kind):
    """The flag is what the methods go by; it starts and stops nothing itself."""

    async def main():
        async with made(kind) as (transport, protocol, other):
            transport._paused = True
            assert not transport.is_reading()
            transport.pause_reading()  # is already
            os.write(other if isinstance(other, int) else other.fileno(), b"1")
            await protocol.received.wait()
            transport.resume_reading()
            assert transport._paused is False
            transport.pause_reading()
            transport._paused = False
            assert transport.is_reading()
            transport.resume_reading()  # it is not paused
            transport.pause_reading()
            transport.resume_reading()
            protocol.received.clear()
            os.write(other if isinstance(other, int) else other.fileno(), b"2")
            await protocol.received.wait()
            assert protocol.data == b"12"

    run(main())


def test_closing_says_what_is_set(run):
    async def main():
        async with made("socket") as (transport, protocol, other):
            transport._closing = True
            assert transport.is_closing()
            transport.close()  # has been
            transport.write(b"x")
            await asyncio.sleep(0)
            assert other.recv(10) == b"x"
            transport._closing = False
            assert not transport.is_closing()
            transport.close()
            assert await protocol.lost is None
            assert transport._closing is True

    run(main())


def test_connection_lost_counted(run):
    """Nothing is sent as long as the count is not 0."""

    async def main():
        async with made("socket") as (transport, protocol, other):
            transport._conn_lost = 1
            transport.write(b"dropped")
            assert transport._conn_lost == 2
            transport.abort()  # has been
            assert not transport.is_closing()
            transport._conn_lost = 0
            transport.write(b"sent")
            await asyncio.sleep(0)
            assert other.recv(100) == b"sent"
            other.send(b"x")
            await protocol.received.wait()
            transport._conn_lost = 3
            transport.close()
            await protocol.lost
            assert transport._conn_lost == 4

    run(main())


def test_limits_set(run):
    async def main():
        async with made("socket") as (transport, protocol, other):
            transport._high_water, transport._low_water = -1, 0.5
            assert transport.get_write_buffer_limits() == (0.5, -1)
            transport._high_water, transport._low_water = 20, 10
            assert transport.get_write_buffer_limits() == (10, 20)
            size = 1 << 20
            transport.write(bytes(size))
            assert protocol.calls == ["pause"]
            transport._protocol_paused = False
            transport.write(b"x")
            assert protocol.calls == ["pause", "pause"]
            while size >= 0:
                with contextlib.suppress(BlockingIOError):
                    size -= len(other.recv(1 << 20))
                await asyncio.sleep(0)
            while protocol.calls[2:] != ["resume"]:
                await asyncio.sleep(0)

    run(main())


def test_eof_set(run):
    async def main():
        async with made("socket") as (transport, _, other):
            transport._eof = True
            with pytest.raises(RuntimeError, match=r"Cannot call write\(\) after write_eof\(\)"):
                transport.write(b"x")
            transport.write_eof()  # has been
            transport._eof = False
            transport.write(b"y")
            await asyncio.sleep(0)
            assert other.recv(10) == b"y"
            transport.write_eof()
            await asyncio.sleep(0)
            assert other.recv(10) == b""

    run(main())


@pytest.mark.parametrize("kind", ["socket", "write pipe"])
def test_output_that_waits(run, kind):
    async def main():
        async with made(kind) as (transport, _, other):
            assert len(transport._buffer) == 0
            transport.write(bytes(4 << 20))
            transport.write(b"the end")
            size = transport.get_write_buffer_size()
            waiting = transport._buffer
            pieces = [waiting] if isinstance(waiting, bytearray) else waiting
            assert sum(map(len, pieces)) == size > 7
            assert bytes(pieces[-1]).endswith(b"the end")
            transport._buffer = type(waiting)()
            if hasattr(transport, "_buffer_size"):  # from 3.15 on counted beside it
                transport._buffer_size = 0
            assert transport.get_write_buffer_size() == 0
            assert other is not None

    run(main())


@pytest.mark.parametrize("kind", ["socket", "datagram", "read pipe"])
def test_other_descriptors_read(run, pair, kind):
    async def main():
        async with made(kind) as (transport, _, _):
            ours, other = pair
            seen = asyncio.Event()
            transport.pause_reading()
            transport._add_reader(ours.fileno(), print)
            assert not asyncio.get_running_loop().remove_reader(ours)
            transport.resume_reading()
            transport._add_reader(ours.fileno(), seen.set)
            other.send(b"x")
            await seen.wait()
            assert asyncio.get_running_loop().remove_reader(ours)

    run(main())


VALUE = contextvars.ContextVar("VALUE", default="none")


def context_of(value):
    context = contextvars.copy_context()
    context.run(VALUE.set, value)
    return context


class Tells(Recorder):
    """Of the context of each call; each changes it."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def tell(self, name):
        self.seen.append((name, VALUE.get()))
        VALUE.set(VALUE.get() + "+")

    def connection_made(self, transport):
        super().connection_made(transport)
        self.tell("made")

    def data_received(self, data):
        super().data_received(data)
        self.tell("data")

    def connection_lost(self, exc):
        super().connection_lost(exc)
        self.tell("lost")


@keeps_context
def test_context_of_all_calls(run, pair):
    async def main():
        loop = asyncio.get_running_loop()
        VALUE.set("main")
        ours, other = pair
        transport, protocol = await loop.create_connection(Tells, sock=ours)
        context = transport._context
        other.send(b"x")
        await protocol.received.wait()
        done = loop.create_future()
        assert (
            transport._call_soon(lambda *args: done.set_result((VALUE.get(), args)), 1, 2) is None
        )
        assert await done == ("main++", (1, 2))
        transport.write(bytes(1 << 20))
        transport.close()
        while not protocol.lost.done():
            with contextlib.suppress(BlockingIOError):
                other.recv(1 << 20)
            await asyncio.sleep(0)
        assert protocol.seen == [("made", "main"), ("data", "main+"), ("lost", "main++")]
        assert transport._context is context
        assert context[VALUE] == "main+++"
        assert VALUE.get() == "main"

    run(main())


@keeps_context
def test_context_set(run, pair):
    """What reads goes on in the one that it has."""

    async def main():
        loop = asyncio.get_running_loop()
        VALUE.set("main")
        ours, other = pair
        transport, protocol = await loop.create_connection(Tells, sock=ours)
        for change in (lambda: None, transport.pause_reading, transport.resume_reading):
            change()
            if change == transport.pause_reading:
                continue
            transport._context = context_of("set")
            other.send(b"x")
            await protocol.received.wait()
            protocol.received.clear()
        transport._context = None
        VALUE.set("last")
        transport.close()
        await protocol.lost
        names = [("made", "main"), ("data", "main+"), ("data", "set"), ("lost", "last")]
        assert protocol.seen == names

    run(main())


@keeps_context
@pytest.mark.parametrize("kind", ["socket", "datagram"])
def test_other_descriptors_written(run, pair, kind):
    async def main():
        loop = asyncio.get_running_loop()
        async with made(kind) as (transport, _, _):
            assert (transport._context is None) is (kind == "datagram")
            transport._context = context_of("set")
            done = loop.create_future()

            def write(*args):
                loop.remove_writer(pair[0])
                done.set_result((VALUE.get(), args))

            transport._add_writer(pair[0].fileno(), write, 1)
            assert await done == ("set", (1,))
            for wrong in (lambda: transport._add_writer(1), lambda: transport._call_soon()):
                with pytest.raises(TypeError):
                    wrong()

    run(main())


def test_destination_set(run):
    async def main():
        async with made("datagram") as (transport, protocol, _):
            name = transport.get_extra_info("sockname")
            transport._address = ("127.0.0.1", 1)
            with pytest.raises(ValueError, match="must be None or"):
                transport.sendto(b"x", name)
            transport._address = None
            transport.sendto(b"x", name)
            await protocol.received.wait()
            assert protocol.data == b"x"

    run(main())


def test_server_set(run):
    """It is told of the end."""

    async def main():
        seen = []

        class Server:
            def _detach(self, *transport):
                seen.append(len(transport))

        async with made("socket") as (transport, protocol, _):
            transport._server = Server()
            transport.close()
            await protocol.lost
            await asyncio.sleep(0)
            assert len(seen) == 1
            assert transport._server is None

    run(main())


def test_another_socket_object(run):
    async def main():
        class Counts:
            closed = 0

            def __init__(self, sock):
                self.sock = sock

            def close(self):
                self.closed += 1
                self.sock.close()

            def __getattr__(self, name):
                return getattr(self.sock, name)

        async with made("socket") as (transport, protocol, _):
            transport._sock = counts = Counts(transport._sock)
            assert transport._sock is counts
            transport.close()
            await protocol.lost
            await asyncio.sleep(0)
            assert counts.closed == 1
            assert transport._sock is None

    run(main())


def test_methods_put_in_their_place(run, reports):
    async def main():
        seen = []
        async with made("socket") as (transport, protocol, other):

            def fatal_error(exc, message="none"):
                seen.append((type(exc).__name__, message))
                type(transport)._fatal_error(transport, exc, message)

            def force_close(exc):
                seen.append(type(exc).__name__)
                type(transport)._force_close(transport, exc)

            transport._fatal_error = fatal_error
            transport._force_close = force_close
            protocol.data_received = lambda data: 1 / 0
            other.send(b"x")
            assert type(await protocol.lost) is ZeroDivisionError
            transport.abort()
        assert seen[0] == (
            "ZeroDivisionError",
            "Fatal error: protocol.data_received() call failed.",
        )
        assert seen[1:] == ["ZeroDivisionError", "NoneType", "NoneType"]

    run(main())
    assert len(reports) == 1
    reports.clear()


def test_readiness_told_by_hand(run):
    async def main():
        async with made("socket") as (transport, protocol, other):
            other.send(b"x")
            transport._read_ready()
            assert protocol.data == b"x"
            transport._protocol_connected = False
            transport.close()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert not protocol.lost.done()
            protocol.lost.set_result(None)

    run(main())


@pytest.mark.parametrize("value", [-1, -(10**30), -2.5, float("nan"), 10**30])
def test_limits_that_no_method_takes(run, value):
    async def main():
        async with made("socket") as (transport, _, _):
            for name in ("_high_water", "_low_water"):
                setattr(transport, name, value)
                assert getattr(transport, name) is value or getattr(transport, name) == value
            assert len(transport.get_write_buffer_limits()) == 2

    run(main())


def test_destination_set_while_it_is_compared(run):
    async def main():
        async with made("datagram") as (transport, _, _):

            class Address(tuple):
                __slots__ = ()
                __hash__ = tuple.__hash__

                def __eq__(self, other):
                    transport._address = None
                    return False

            transport._address = ("127.0.0.1", 1)
            with pytest.raises(ValueError, match="must be None or None"):
                transport.sendto(b"x", Address(("127.0.0.1", 1)))

    run(main())


def test_not_connected_by_any_false_value(run):
    async def main():
        async with made("socket") as (transport, protocol, other):
            transport._protocol_connected = 0
            transport.close()
            while transport._protocol is not None:
                await asyncio.sleep(0)
            assert not protocol.lost.done()
            assert other.recv(1) == b""
            protocol.lost.set_result(None)

    run(main())


def test_ended_by_the_value(run):
    """What it is asked ends the transport: the protocol is told once."""

    async def main():
        for name in ("_conn_lost", "_buffer"):
            async with made("socket") as (transport, protocol, _):
                ends = []

                class Value:
                    def __index__(self, end=transport.abort):
                        end()
                        return 0

                    def __iter__(self, end=transport.abort):
                        end()
                        yield b"x"

                protocol.connection_lost = lambda exc, ends=ends, lost=protocol.lost: (
                    ends.append(exc),
                    lost.done() or lost.set_result(None),
                )
                setattr(transport, name, value := Value())
                assert getattr(transport, name) is value
                setattr(transport, name, 0 if name == "_conn_lost" else bytearray())
                transport.abort()
                await protocol.lost
                await asyncio.sleep(0.01)
                assert ends == [None]

    run(main())


def test_set_by_what_was_sent(run):
    """A piece that is let go of sets other output: all of that is sent."""

    async def main():
        async with made("socket") as (transport, _, other):

            class Piece(bytes):
                def __del__(self):
                    transport._buffer = bytearray(b"instead")

            if type(transport).__module__.startswith("asyncio"):
                return  # lets go of what was written before it is sent, or of all of it at once
            transport.writelines(kind(3000) for kind in (Piece, bytes))
            data = b""
            while not data.endswith(b"instead"):
                await asyncio.sleep(0)
                with contextlib.suppress(BlockingIOError):
                    data += other.recv(10000)
            assert len(data) == 6007

    run(main())


@pytest.mark.parametrize("kind", ["socket", "datagram", "read pipe", "write pipe"])
def test_all_can_be_deleted(run, assigned, kind):
    """And are there again once they are set: unittest.mock.patch.object() does both."""

    async def main():
        async with made(kind) as (transport, _, _):
            # One of a socket's steps is an attribute in asyncio from Python 3.12 on.
            for name in set(assigned(CLASSES[kind])) - {"_write_ready"}:
                before = getattr(transport, name)
                with mock.patch.object(transport, name, before):
                    pass
                delattr(transport, name)
                assert not hasattr(transport, name) or name == "_sock", name
                with pytest.raises(AttributeError, match=name):
                    delattr(transport, name)
                setattr(transport, name, before)
                now = getattr(transport, name)
                assert now is before or now == before, name
            assert not transport.is_closing()

    run(main())


@pytest.mark.parametrize("kind", ["socket", "datagram", "read pipe", "write pipe"])
def test_flags_read_as_they_were_set(run, assigned, kind):
    async def main():
        async with made(kind) as (transport, _, _):
            for name in FLAGS & set(assigned(CLASSES[kind])):
                for value in (5, 0, None, "text", [], getattr(transport, name)):
                    setattr(transport, name, value)
                    assert getattr(transport, name) is value, name
                    if name == "_closing":
                        assert transport.is_closing() is value
            absent = {"_paused", "_protocol_paused", "_conn_lost"} - set(assigned(CLASSES[kind]))
            assert not [name for name in absent if hasattr(transport, name)]

    run(main())


def test_never_resumed_below_zero(run):
    async def main():
        async with made("socket") as (transport, protocol, other):
            transport._low_water = -1
            transport.write(b"x" * 4_000_000)
            await asyncio.sleep(0)
            assert protocol.calls == ["pause"]
            received = 0
            while received < 4_000_000:
                received += len(await asyncio.get_running_loop().sock_recv(other, 1 << 20))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert transport.get_write_buffer_size() == 0
            assert protocol.calls == ["pause"]

    run(main())


def test_writes_to_nowhere_counted(run, caplog, reports):
    """A pipe's close() counts as none, nor does its reader's end."""

    async def main(ends):
        async with made("write pipe") as (transport, _, other):
            assert transport._conn_lost == 0
            if ends == "close":
                transport.close()
            else:
                transport.write(b"x" * 1_000_000)
                os.dup2(null, other)
                while not transport.is_closing():
                    await asyncio.sleep(0)
            assert transport._conn_lost == 0
            for count in range(1, 6):
                transport.write(b"x")
                assert transport._conn_lost == count
            assert caplog.messages == []
            transport.write(b"x")
            assert len(caplog.messages) == 1

    null = os.open(os.devnull, os.O_RDONLY)
    try:
        for ends in ("close", "hangup"):
            caplog.clear()
            run(main(ends), debug=False)
    finally:
        os.close(null)
    reports.clear()  # asyncio's does not stand an abort() after the end


def test_a_failed_write_counted(run, reports):
    async def main():
        async with made("write pipe") as (transport, _, other):
            null = os.open(os.devnull, os.O_RDONLY)
            os.dup2(null, other)
            os.close(null)
            transport.write(b"x")
            assert transport._conn_lost == 1
            assert transport.is_closing()

    run(main())
    reports.clear()
