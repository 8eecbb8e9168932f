"""What a protocol does to its connection from inside of its own calls, and what it is told then."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import signal
import socket
import ssl
import sys

import pytest

LOOPBACK = ("127.0.0.1", 0)


class Base(asyncio.Protocol):
    """Notes what it is told; ``on_data`` may do something about it."""

    def __init__(self, on_data=None):
        self.calls = []
        self.on_data = on_data
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.calls.append(data)
        if self.on_data is not None:
            self.on_data(self)

    def eof_received(self):
        self.calls.append("eof")

    def connection_lost(self, exc):
        self.lost.set_result(exc)


class Buffered(asyncio.BufferedProtocol):
    def __init__(self, size, on_data=None):
        self.buffer = bytearray(size)
        self.calls = []
        self.on_data = on_data
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport

    def get_buffer(self, sizehint):
        return self.buffer

    def buffer_updated(self, nbytes):
        self.calls.append(bytes(self.buffer[:nbytes]))
        if self.on_data is not None:
            self.on_data(self)

    def connection_lost(self, exc):
        self.lost.set_result(exc)


async def accepted(protocol):
    """A connection of ours to a socket."""
    ours, theirs = socket.socketpair()
    await asyncio.get_running_loop().connect_accepted_socket(lambda: protocol, ours)
    theirs.setblocking(False)
    return theirs


# -- plain connections ----------------------------------------------------------------------------


def test_what_was_written_before_the_callback_failed_arrives(run, reports):
    async def main():
        def answer(protocol):
            protocol.transport.write(b"answer")
            raise ZeroDivisionError

        protocol = Base(answer)
        with await accepted(protocol) as theirs:
            theirs.send(b"question")
            assert isinstance(await protocol.lost, ZeroDivisionError)
            assert theirs.recv(100) == b"answer"
            assert theirs.recv(100) == b""

    run(main())
    assert isinstance(reports.pop()["exception"], ZeroDivisionError)


def test_an_interrupt_in_get_buffer_loses_nothing(loop):
    class Interrupted(Buffered):
        interrupts = 1

        def get_buffer(self, sizehint):
            if self.interrupts:
                self.interrupts = 0
                raise KeyboardInterrupt
            return super().get_buffer(sizehint)

    async def begin():
        protocol = Interrupted(10)
        return protocol, await accepted(protocol)

    async def rest(protocol):
        while not protocol.calls:
            await asyncio.sleep(0)
        protocol.transport.close()
        await protocol.lost

    protocol, theirs = loop.run_until_complete(begin())
    with theirs:
        theirs.send(b"hello")
        with pytest.raises(KeyboardInterrupt):
            loop.run_forever()
        loop.run_until_complete(rest(protocol))
    assert protocol.calls == [b"hello"]


def test_contexts_of_the_end(run):
    """Copies of the one in which reading began, or was resumed; from 3.15 on one for all."""
    variable = contextvars.ContextVar("variable")
    seen = []

    class Told(Base):
        def data_received(self, data):
            seen.append(variable.get())

        def eof_received(self):
            seen.append(variable.get())

        def connection_lost(self, exc):
            seen.append(variable.get())
            super().connection_lost(exc)

    async def main():
        variable.set("made")
        protocol = Told()
        with await accepted(protocol) as theirs:
            theirs.send(b"1")
            await asyncio.sleep(0.001)
            protocol.transport.pause_reading()
            variable.set("resumed")
            protocol.transport.resume_reading()
            variable.set("later")
            theirs.send(b"2")
            await asyncio.sleep(0.001)
        await protocol.lost

    run(main())
    last = "resumed" if sys.version_info < (3, 15) else "made"
    assert seen == ["made", last, last, last]


def test_closing_on_a_closed_loop_fails_once(loop_factory, recwarn):
    loop = loop_factory()

    async def main():
        protocol = Base()
        return protocol, await accepted(protocol)

    protocol, theirs = loop.run_until_complete(main())
    loop.close()
    with theirs:
        assert not protocol.transport.is_closing()
        with pytest.raises(RuntimeError, match="Event loop is closed"):
            protocol.transport.close()
        assert protocol.transport.is_closing()
        assert protocol.transport.close() is None
        assert protocol.transport.abort() is None
    del protocol
    gc.collect()


# -- datagrams ------------------------------------------------------------------------------------


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self, on_made=None, on_data=None):
        self.on_made = on_made
        self.on_data = on_data
        self.calls = []

    def connection_made(self, transport):
        self.transport = transport
        if self.on_made is not None:
            self.on_made(self)

    def datagram_received(self, data, addr):
        self.calls.append(data)
        if self.on_data is not None:
            self.on_data(self)

    def error_received(self, exc):
        self.calls.append(type(exc))


async def endpoint(protocol, count=0):
    """An endpoint for which `count` datagrams wait already."""
    loop = asyncio.get_running_loop()
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(LOOPBACK)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for number in range(count):
            sender.sendto(b"%d" % number, sock.getsockname())
    await loop.create_datagram_endpoint(lambda: protocol, sock=sock)
    return protocol.transport


@pytest.mark.parametrize("then", ["nothing", "close", "abort"])
def test_a_datagram_that_fails_in_connection_made(run, then):
    async def main():
        def send(protocol):
            protocol.transport.sendto(b"x" * 70_000, ("127.0.0.1", 9))
            if then != "nothing":
                getattr(protocol.transport, then)()

        protocol = Datagrams(send)
        transport = await endpoint(protocol)
        await asyncio.sleep(0)
        transport.close()
        await asyncio.sleep(0)
        assert protocol.calls == [OSError]

    run(main())


def test_a_pause_between_datagrams_is_heeded_at_once(run):
    async def main():
        protocol = Datagrams(on_data=lambda self: self.transport.pause_reading())
        transport = await endpoint(protocol, 6)
        for number in range(6):
            while len(protocol.calls) <= number:
                await asyncio.sleep(0)
            await asyncio.sleep(0.001)
            assert protocol.calls == [b"%d" % each for each in range(number + 1)]
            transport.resume_reading()
        transport.close()

    run(main())


def test_an_interrupt_between_datagrams_loses_none(loop):
    def interrupt(protocol):
        protocol.on_data = None
        raise KeyboardInterrupt

    protocol = Datagrams(on_data=interrupt)

    async def main():
        await endpoint(protocol, 6)
        await asyncio.sleep(5)

    async def rest():
        while len(protocol.calls) < 6:
            await asyncio.sleep(0)
        protocol.transport.close()

    task = loop.create_task(main())
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(task)
    assert protocol.calls == [b"0"]
    loop.run_until_complete(rest())
    assert protocol.calls == [b"%d" % each for each in range(6)]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)


def test_what_is_sent_outside_of_a_run_is_sent_at_once(loop):
    protocol = Datagrams()
    transport = loop.run_until_complete(endpoint(protocol))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(LOOPBACK)
        sock.settimeout(5)
        transport.sendto(b"by itself", sock.getsockname())
        assert sock.recv(100) == b"by itself"
    transport.close()
    loop.run_until_complete(asyncio.sleep(0))


# -- pipes and processes --------------------------------------------------------------------------


def test_a_write_to_a_closing_pipe_is_dropped_alone(run):
    async def main():
        reader, writer = os.pipe()
        loop = asyncio.get_running_loop()
        with open(reader, "rb") as end, open(writer, "wb", 0) as pipe:
            protocol = Base()
            transport, _ = await loop.connect_write_pipe(lambda: protocol, pipe)
            transport.write(b"x" * 100_000)
            transport.close()
            transport.write(b"too late")
            got = await loop.run_in_executor(None, end.read)
            assert got == b"x" * 100_000
            assert await protocol.lost is None

    run(main())


# -- signals --------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before", "during"])
def test_a_wakeup_descriptor_of_the_program_is_rung_at_once(run, when):
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    handler = signal.signal(signal.SIGUSR1, lambda *_: None)

    async def main():
        if when == "during":
            signal.set_wakeup_fd(theirs.fileno())
        os.kill(os.getpid(), signal.SIGUSR1)
        assert ours.recv(100) == bytes([signal.SIGUSR1])

    with ours, theirs:
        if when == "before":
            signal.set_wakeup_fd(theirs.fileno())
        try:
            run(main())
        finally:
            signal.signal(signal.SIGUSR1, handler)
            assert signal.set_wakeup_fd(-1) == theirs.fileno()


# -- TLS ------------------------------------------------------------------------------------------


class Client:
    """TLS by hand, so that several records leave in one piece."""

    def __init__(self, context, address):
        self.sock = socket.create_connection(address, timeout=5)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.exchange()

    def exchange(self):
        self.sock.sendall(self.outgoing.read())
        got = self.sock.recv(65536)
        if got:
            self.incoming.write(got)
        else:
            self.incoming.write_eof()

    def send(self, *records):
        for record in records:
            self.tls.write(record)
        self.sock.sendall(self.outgoing.read())

    def read_all(self):
        parts = []
        try:
            while parts[-1:] != [b""]:
                try:
                    parts.append(self.tls.read(65536))
                except ssl.SSLWantReadError:
                    self.exchange()
        except (ssl.SSLError, OSError):
            pass
        return b"".join(parts)


async def exchanged(server_context, client_context, protocol, *records):
    """The records reach the protocol at once; what it answered."""
    loop = asyncio.get_running_loop()

    def client(address):
        end = Client(client_context, address)
        with end.sock:
            end.send(*records)
            return end.read_all()

    server = await loop.create_server(lambda: protocol, *LOOPBACK, ssl=server_context)
    answer = await loop.run_in_executor(None, client, server.sockets[0].getsockname())
    await protocol.lost
    server.close()
    return answer


def test_records_that_arrived_together_come_together(run, server_context, client_context):
    async def main():
        def answer(protocol):
            protocol.transport.write(protocol.calls[-1] * 2)
            protocol.transport.close()

        protocol = Base(answer)
        got = await exchanged(server_context, client_context, protocol, b"a", b"b", b"c")
        assert protocol.calls[0] == b"abc"
        assert got == b"abcabc"

    run(main())


@pytest.mark.parametrize("buffered", [False, True])
def test_nothing_comes_after_abort(run, server_context, client_context, buffered):
    async def main():
        def abort(protocol):
            protocol.transport.abort()

        protocol = Buffered(4, abort) if buffered else Base(abort)
        await exchanged(server_context, client_context, protocol, b"abcd", b"ef", b"gh")
        assert protocol.calls == ([b"abcd"] if buffered else [b"abcdefgh"])

    run(main())


def test_the_rest_goes_to_a_protocol_of_the_other_kind(run, server_context, client_context):
    async def main():
        other = Base(lambda self: self.transport.close())

        def change(protocol):
            other.connection_made(protocol.transport)
            protocol.transport.set_protocol(other)

        protocol = Buffered(4, change)
        protocol.lost = other.lost
        await exchanged(server_context, client_context, protocol, b"abcdefgh")
        assert protocol.calls == [b"abcd"]
        assert other.calls[0] == b"efgh"

    run(main())


def test_start_tls_behind_output_that_waits(run, server_context, client_context, reports):
    """The carrier's resume_writing() comes to a protocol that was never paused: only reported."""

    async def main():
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        protocol = Base()
        transport, _ = await loop.connect_accepted_socket(lambda: protocol, ours), None
        transport = transport[0]
        transport.write(b"p" * 9_000_000)

        def peer():
            theirs.settimeout(5)
            left = 9_000_000
            while left:
                left -= len(theirs.recv(min(left, 1 << 20)))
            with server_context.wrap_socket(theirs, server_side=True) as tls:
                return tls.recv(100)

        task = loop.run_in_executor(None, peer)
        over = await loop.start_tls(
            transport, protocol, client_context, server_hostname="localhost"
        )
        over.write(b"secret")
        assert await task == b"secret"
        over.abort()

    run(main())
    assert reports.pop()["message"] == "protocol.resume_writing() failed"


def test_writelines_of_a_list_that_changes(run, server_context, client_context):
    """An item's len() takes the others away."""

    async def main():
        def answer(protocol):
            lines = []

            class First(bytearray):
                def __len__(self):
                    lines.clear()
                    gc.collect()
                    return super().__len__()

            lines += [First(b"first"), *(bytes([65 + i]) * 50 for i in range(20))]
            protocol.transport.writelines(lines)
            protocol.transport.close()

        protocol = Base(answer)
        assert await exchanged(server_context, client_context, protocol, b"x") == b"first"

    run(main())


def test_writelines_mistakes_are_the_callers(run, server_context, client_context, reports):
    async def main():
        mistakes = []

        def answer(protocol):
            for lines in (5, [b"kept", 5]):
                with pytest.raises(TypeError) as caught:
                    protocol.transport.writelines(lines)
                mistakes.append(str(caught.value))
            assert not protocol.transport.is_closing()
            protocol.transport.abort()

        protocol = Base(answer)
        await exchanged(server_context, client_context, protocol, b"x")
        assert mistakes == ["'int' object is not iterable", "object of type 'int' has no len()"]

    run(main())
    reports.clear()  # asyncio's loop meets the wrong item once more on its way out


def test_an_ssl_object_class_of_the_programs(run, server_context, client_context):
    class Counting(ssl.SSLObject):
        reads = 0

        def read(self, *args):
            type(self).reads += 1
            return super().read(*args)

    server_context.sslobject_class = Counting

    async def main():
        protocol = Base(lambda self: self.transport.close())
        await exchanged(server_context, client_context, protocol, b"x")
        assert protocol.calls[0] == b"x"

    run(main())
    assert Counting.reads > 0


def test_a_fatal_tls_error_is_logged_with_its_traceback(
    loop_factory, server_context, client_context, caplog
):
    loop = loop_factory()
    loop.set_debug(True)
    caplog.set_level("DEBUG", logger="asyncio")

    def fail(protocol):
        raise OSError("by the program")

    async def main():
        await exchanged(server_context, client_context, Base(fail), b"x")

    loop.run_until_complete(main())
    logged = [record for record in caplog.records if "Fatal error on SSL" in record.getMessage()]
    assert str(logged[0].exc_info[1]) == "by the program"
