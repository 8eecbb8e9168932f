"""Sockets that a program has given away and still holds: closed under a transport, given twice,
watched beside it; listening sockets likewise."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import socket
import sys
import tempfile
import warnings
import weakref

import pytest

import fastaio

LOOPBACK = ("127.0.0.1", 0)


class Notes(asyncio.Protocol):
    def __init__(self):
        self.calls = []
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.calls.append(data)

    def connection_lost(self, exc):
        self.lost.set_result(exc)


async def transport_of(sock):
    loop = asyncio.get_running_loop()
    return await loop.create_connection(Notes, sock=sock)


def closed_and_reused(sock):
    """Closes a socket; a connected pair, of which the first has got its number."""
    number = sock.fileno()
    sock.close()
    one, other = socket.socketpair()
    pair = (one, other) if one.fileno() == number else (other, one)
    assert pair[0].fileno() == number
    return pair


def test_a_number_used_again_is_not_written_to(run):
    async def main():
        ours, peer = socket.socketpair()
        transport, protocol = await transport_of(ours)
        stranger, other = closed_and_reused(ours)
        with peer, stranger, other:
            other.setblocking(False)
            transport.write(b"secret")
            assert (await protocol.lost).errno == 9
            with pytest.raises(BlockingIOError):
                other.recv(10)
            stranger.send(b"open")
            assert other.recv(10) == b"open"

    run(main())


def test_a_number_used_again_is_not_read_from(run):
    async def main():
        ours, peer = socket.socketpair()
        transport, protocol = await transport_of(ours)
        transport.pause_reading()
        stranger, other = closed_and_reused(ours)
        with peer, stranger, other:
            other.send(b"secret")
            transport.resume_reading()
            assert (await protocol.lost).errno == 9
            assert protocol.calls == []
            assert stranger.recv(10) == b"secret"

    run(main())


@pytest.mark.parametrize("how", ["write_eof", "close", "abort"])
def test_a_number_used_again_is_not_shut_down(run, how):
    async def main():
        ours, peer = socket.socketpair()
        transport, protocol = await transport_of(ours)
        stranger, other = closed_and_reused(ours)
        with peer, stranger, other:
            try:
                getattr(transport, how)()
            except OSError as exc:
                assert exc.errno == 9
            if how == "write_eof":
                transport.abort()
            assert await protocol.lost is None
            stranger.send(b"open")
            assert other.recv(10) == b"open"

    run(main())


def test_a_detached_socket_stays_open(run):
    async def main():
        ours, peer = socket.socketpair()
        transport, protocol = await transport_of(ours)
        kept = socket.socket(fileno=ours.detach())
        with peer, kept:
            transport.write(b"x")
            assert (await protocol.lost).errno == 9
            kept.send(b"open")
            assert peer.recv(10) == b"open"

    run(main())


def test_datagrams_of_a_closed_socket(run):
    async def main():
        loop = asyncio.get_running_loop()
        errors = loop.create_future()

        class Datagrams(asyncio.DatagramProtocol):
            def error_received(self, exc):
                errors.set_result(exc)

        ours = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        ours.bind(LOOPBACK)
        address = ours.getsockname()
        transport, _ = await loop.create_datagram_endpoint(Datagrams, sock=ours)
        number = ours.fileno()
        ours.close()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            assert stranger.fileno() == number
            stranger.bind(LOOPBACK)
            transport.sendto(b"secret", stranger.getsockname())
            assert (await errors).errno == 9
            stranger.setblocking(False)
            with pytest.raises(BlockingIOError):
                stranger.recv(10)
            assert transport.get_extra_info("sockname") == address
            transport.abort()
            await asyncio.sleep(0)

    run(main())


def test_names_are_told_of_a_closed_socket(run):
    async def main():
        with socket.create_server(LOOPBACK) as listening:
            ours = socket.create_connection(listening.getsockname())
            names = ours.getpeername(), ours.getsockname()
            transport, _ = await transport_of(ours)
            ours.close()
            told = [transport.get_extra_info(name) for name in ("peername", "sockname")]
            transport.abort()
            await asyncio.sleep(0)
            assert tuple(told) == names

    run(main())


@pytest.mark.skipif(sys.version_info < (3, 12), reason="asyncio refuses it from 3.12 on")
def test_a_socket_of_another_transport_is_refused(run):
    async def main():
        ours, peer = socket.socketpair()
        with peer:
            transport, protocol = await transport_of(ours)
            with pytest.raises(RuntimeError, match="is used by transport"):
                await transport_of(ours)
            transport.write(b"x")
            transport.close()
            await protocol.lost
            # From 3.15 on, a socket that gets no transport is closed, also where it has one.
            assert peer.recv(1) == (b"x" if sys.version_info < (3, 15) else b"")

    run(main())


@pytest.mark.skipif(sys.version_info < (3, 12), reason="asyncio refuses it from 3.12 on")
def test_a_datagram_socket_of_another_transport_is_refused(run):
    async def main():
        loop = asyncio.get_running_loop()
        ours = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        ours.bind(LOOPBACK)
        transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, sock=ours)
        with pytest.raises(RuntimeError, match="is used by transport"):
            await loop.create_datagram_endpoint(asyncio.DatagramProtocol, sock=ours)
        transport.close()
        await asyncio.sleep(0)

    run(main())


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="asyncio refuses it from 3.12 on")
def test_a_second_transport_takes_a_socket_over(run):
    async def main():
        ours, peer = socket.socketpair()
        with peer:
            first, _ = await transport_of(ours)
            second, protocol = await transport_of(ours)
            peer.send(b"x")
            while not protocol.calls:
                await asyncio.sleep(0)
            second.close()
            assert await protocol.lost is None
            first.abort()
            await asyncio.sleep(0)

    run(main())


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="asyncio refuses it from 3.12 on")
def test_a_transport_that_lost_its_socket_is_kept_by_nobody(run):
    async def main():
        ours, peer = socket.socketpair()
        with peer:
            first, _ = await transport_of(ours)
            second, _ = await transport_of(ours)
            alive = weakref.ref(first)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ResourceWarning)
                del first, _
                gc.collect()
                assert alive() is None
            second.abort()
            await asyncio.sleep(0)

    run(main())


# -- listening sockets -----------------------------------------------------------------------------


def test_a_reader_takes_the_place_of_a_server(run):
    async def main():
        loop = asyncio.get_running_loop()
        server = await loop.create_server(asyncio.Protocol, *LOOPBACK)
        listening = server.sockets[0]
        readable = loop.create_future()
        loop.add_reader(listening.fileno(), lambda: readable.done() or readable.set_result(None))
        with socket.create_connection(listening.getsockname()):
            await readable
            assert loop.remove_reader(listening.fileno()) is True
            assert loop.remove_reader(listening.fileno()) is False
        server.close()
        await server.wait_closed()

    run(main())


def test_a_server_without_its_reader_does_not_accept(run):
    async def main():
        loop = asyncio.get_running_loop()
        made = []
        server = await loop.create_server(lambda: made.append(None) or Notes(), *LOOPBACK)
        address = server.sockets[0].getsockname()
        assert loop.remove_writer(server.sockets[0].fileno()) is False
        assert loop.remove_reader(server.sockets[0].fileno()) is True
        with socket.create_connection(address):
            for _ in range(5):
                await asyncio.sleep(0)
            assert made == []
        server.close()
        await server.wait_closed()

    run(main())


@pytest.mark.parametrize("how", ["close", "close and reuse", "twice"])
def test_a_displaced_server_leaves_nothing(loop_factory, how):
    loop = loop_factory()
    loop_alive = weakref.ref(loop)

    def factory():
        return asyncio.Protocol()

    factory_alive = weakref.ref(factory)

    async def main(factory):
        loop = asyncio.get_running_loop()
        first = socket.socket()
        first.bind(LOOPBACK)
        await loop.create_server(factory, sock=first)
        second = first
        if how != "twice":
            first.close()
            second = socket.socket()
            second.bind(LOOPBACK)
        if how != "close":
            server = await loop.create_server(asyncio.Protocol, sock=second)
            server.close()
        second.close()

    loop.run_until_complete(main(factory))
    loop.set_exception_handler(None)
    loop.close()
    cells = loop_factory.__closure__
    for cell in cells:
        if isinstance(cell.cell_contents, list) and loop in cell.cell_contents:
            cell.cell_contents.remove(loop)
    del loop, factory, main
    gc.collect()
    assert loop_alive() is None
    assert factory_alive() is None


def test_contexts_of_a_factory_are_its_connections(run):
    async def main():
        loop = asyncio.get_running_loop()
        var = contextvars.ContextVar("var", default=0)
        seen = []
        done = asyncio.Queue()

        class Protocol(asyncio.Protocol):
            def connection_made(self, transport):
                seen.append(("made", var.get()))
                transport.abort()
                done.put_nowait(None)

        def factory():
            seen.append(("factory", var.get()))
            var.set(var.get() + 1)
            return Protocol()

        server = await loop.create_server(factory, *LOOPBACK)
        for _ in range(3):
            with socket.create_connection(server.sockets[0].getsockname()):
                await done.get()
        server.close()
        await server.wait_closed()
        assert seen == [("factory", 0), ("made", 1)] * 3

    run(main())


# asyncio's leaves the socket of the failed one open.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupted_factory_leaves_the_rest_for_the_next_run(loop, reports):
    made = []

    def factory():
        made.append(None)
        if len(made) == 1:
            raise KeyboardInterrupt
        if len(made) == 3:
            loop.stop()
        return asyncio.Protocol()

    server = loop.run_until_complete(loop.create_server(factory, *LOOPBACK))
    address = server.sockets[0].getsockname()
    clients = [socket.create_connection(address) for _ in range(3)]
    with pytest.raises(KeyboardInterrupt):
        loop.run_forever()
    assert len(made) == 1
    loop.run_forever()
    assert len(made) == 3
    for client in clients:
        client.close()
    server.close()
    loop.run_until_complete(asyncio.sleep(0.001))  # the ends of the connections
    gc.collect()
    reports.clear()  # asyncio: "Task exception was never retrieved"


def test_debug_mode_logs_new_connections(run, caplog):
    async def main():
        loop = asyncio.get_running_loop()
        loop.set_debug(True)
        made = loop.create_future()

        class Protocol(asyncio.Protocol):
            def connection_made(self, transport):
                transport.abort()
                made.set_result(None)

        server = await loop.create_server(Protocol, *LOOPBACK)
        with socket.create_connection(server.sockets[0].getsockname()) as client:
            await made
            address = client.getsockname()
        server.close()
        await server.wait_closed()
        return address

    caplog.set_level(logging.DEBUG, "asyncio")
    address = run(main())
    [line] = [line for line in caplog.text.splitlines() if "got a new connection" in line]
    assert "<Server sockets=(<asyncio.TransportSocket fd=" in line
    assert f" got a new connection from {address!r}: <socket.socket fd=" in line


# -- sendfile --------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["abort", "close"])
def test_sendfile_ends_with_its_connection(how):
    """asyncio's leaves whoever waits for the transfer waiting, and reports InvalidStateError."""
    size = 1 << 24

    async def main():
        loop = asyncio.get_running_loop()
        with socket.create_server(LOOPBACK) as listening, tempfile.TemporaryFile() as file:
            file.truncate(size)
            with socket.create_connection(listening.getsockname()) as peer:
                ours, _ = listening.accept()
                transport, protocol = await transport_of(ours)
                sending = loop.create_task(loop.sendfile(transport, file))
                received = len(await asyncio.to_thread(peer.recv, 1 << 16))
                getattr(transport, how)()
                assert await protocol.lost is None
                while data := await asyncio.to_thread(peer.recv, 1 << 20):
                    received += len(data)
                assert 0 < received < size
                with pytest.raises(ConnectionError):
                    await sending

    with asyncio.Runner(loop_factory=fastaio.new_event_loop) as runner:
        runner.run(main())
