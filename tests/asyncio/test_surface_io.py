"""sendfile(), datagram endpoints and pipes, row by row."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import pty
import socket
import tempfile

import pytest

LOOPBACK = ("127.0.0.1", 0)


class Sink(asyncio.Protocol):
    """Keeps what comes in."""

    def __init__(self):
        self.data = b""
        self.ended = asyncio.get_running_loop().create_future()

    def data_received(self, data):
        self.data += data

    def connection_lost(self, exc):
        self.ended.set_result(exc)


@contextlib.asynccontextmanager
async def piped():
    """A transport that writes, and the protocol at the other end of its connection."""
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    transport, protocol = await loop.create_connection(Sink, sock=ours)
    _, sink = await loop.create_connection(Sink, sock=theirs)
    try:
        yield transport, sink
    finally:
        transport.close()
        await protocol.ended
        await sink.ended


@contextlib.contextmanager
def file_of(data):
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        file.seek(0)
        yield file


# -- sendfile --------------------------------------------------------------------------------------

DATA = bytes(range(256)) * 1000


@pytest.mark.parametrize(
    ("offset", "count"),
    [(0, None), (1, None), (0, 1), (1000, 100_000), (len(DATA), None), (len(DATA) - 1, 10)],
)
@pytest.mark.parametrize("native", [True, False])
def test_sendfile(run, offset, count, native, monkeypatch):
    expected = DATA[offset:] if count is None else DATA[offset : offset + count]

    async def main():
        loop = asyncio.get_running_loop()
        async with piped() as (transport, sink):
            with file_of(DATA) as real:
                # What is no real file cannot be handed to the kernel.
                file = real if native else io.BytesIO(DATA)
                transport.write(b"before ")
                sent = await loop.sendfile(transport, file, offset, count, fallback=not native)
                assert sent == len(expected)
                assert not sent or file.tell() == offset + sent
                transport.write(b" after")
        assert sink.data == b"before " + expected + b" after"

    run(main())


def test_sendfile_without_fallback(run):
    async def main():
        loop = asyncio.get_running_loop()
        async with piped() as (transport, _):
            with pytest.raises(asyncio.SendfileNotAvailableError, match="not a regular file"):
                await loop.sendfile(transport, io.BytesIO(DATA), fallback=False)

    run(main())


def test_sendfile_checks_its_arguments(run):
    async def main():
        loop = asyncio.get_running_loop()
        async with piped() as (transport, _):
            with file_of(DATA) as file, tempfile.TemporaryFile("w") as text:
                for arguments, error in [
                    ((text,), "file should be opened in binary mode"),
                    ((file, 0, "1"), "count must be a positive integer"),
                    ((file, 0, 0), "count must be a positive integer"),
                    ((file, 0, -1), "count must be a positive integer"),
                    ((file, "1"), "offset must be a non-negative integer"),
                    ((file, -1), "offset must be a non-negative integer"),
                ]:
                    with pytest.raises((ValueError, TypeError), match=error):
                        await loop.sendfile(transport, *arguments)
                transport.close()
                with pytest.raises(RuntimeError, match="Transport is closing"):
                    await loop.sendfile(transport, file)

    run(main())


def test_no_write_during_sendfile(run):
    async def main():
        loop = asyncio.get_running_loop()
        async with piped() as (transport, sink):
            with file_of(bytes(20_000_000)) as file:
                task = asyncio.create_task(loop.sendfile(transport, file))
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                if not task.done():
                    with pytest.raises(RuntimeError, match="sendfile is in progress"):
                        transport.write(b"x")
                assert await task == 20_000_000
                transport.write(b"x")
        assert len(sink.data) == 20_000_001

    run(main())


def test_sendfile_to_a_reset_connection(run):
    async def main():
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        transport, protocol = await loop.create_connection(Sink, sock=ours)
        with theirs, file_of(bytes(20_000_000)) as file:
            task = asyncio.create_task(loop.sendfile(transport, file))
            for _ in range(5):
                await asyncio.sleep(0)
            theirs.close()
            with pytest.raises((ConnectionError, BrokenPipeError)):
                await task
        transport.abort()
        await protocol.ended

    run(main())


def test_sendfile_cancelled(run):
    async def main():
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        transport, protocol = await loop.create_connection(Sink, sock=ours)
        with theirs, file_of(bytes(20_000_000)) as file:
            task = asyncio.create_task(loop.sendfile(transport, file))
            for _ in range(5):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            transport.abort()
            await protocol.ended

    run(main())


# -- datagrams -------------------------------------------------------------------------------------


class Messages(asyncio.DatagramProtocol):
    def __init__(self):
        self.queue = asyncio.Queue()
        self.ended = asyncio.get_running_loop().create_future()

    def datagram_received(self, data, addr):
        self.queue.put_nowait((data, addr))

    def connection_lost(self, exc):
        self.ended.set_result(exc)


@contextlib.asynccontextmanager
async def endpoint(**keywords):
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(Messages, **keywords)
    try:
        yield transport, protocol
    finally:
        transport.close()
        await protocol.ended


def test_endpoint_complains(run):
    async def main():
        loop = asyncio.get_running_loop()
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            for keywords, error, text in [
                ({}, ValueError, "unexpected address family"),
                ({"sock": tcp}, ValueError, "A (datagram|UDP) [sS]ocket was expected"),
                (
                    {"sock": udp, "local_addr": LOOPBACK},
                    ValueError,
                    "can not be used when sock is specified",
                ),
                ({"local_addr": "x"}, TypeError, "2-tuple is expected"),
                ({"local_addr": ("::1", 0), "family": 2}, (ValueError, OSError), None),
                (
                    {"local_addr": LOOPBACK, "remote_addr": ("::1", 1)},
                    ValueError,
                    "can not get address information",
                ),
                ({"local_addr": 5, "family": socket.AF_UNIX}, TypeError, "string is expected"),
            ]:
                with pytest.raises(error, match=text):
                    await loop.create_datagram_endpoint(Messages, **keywords)

    run(main())


def test_broadcast_is_allowed(run):
    async def main():
        async with endpoint(local_addr=LOOPBACK, allow_broadcast=True) as (transport, _):
            sock = transport.get_extra_info("socket")
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST) != 0
        async with endpoint(local_addr=LOOPBACK) as (transport, _):
            sock = transport.get_extra_info("socket")
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST) == 0

    run(main())


def test_port_is_reused(run):
    async def main():
        async with endpoint(local_addr=LOOPBACK, reuse_port=True) as (first, _):
            address = first.get_extra_info("sockname")
            async with endpoint(local_addr=address, reuse_port=True) as (second, _):
                assert second.get_extra_info("sockname") == address
            with pytest.raises(OSError):
                async with endpoint(local_addr=address):
                    pass

    run(main())


def test_family_and_socket(run):
    async def main():
        async with endpoint(family=socket.AF_INET) as (transport, _):
            assert transport.get_extra_info("socket").family == socket.AF_INET
        sock = socket.socket(type=socket.SOCK_DGRAM)
        sock.bind(LOOPBACK)
        async with endpoint(sock=sock) as (transport, protocol):
            assert transport.get_extra_info("sockname") == sock.getsockname()
            transport.sendto(b"x", sock.getsockname())
            assert await protocol.queue.get() == (b"x", sock.getsockname())

    run(main())


def test_unix_datagrams(run, tmp_path):
    names = [str(tmp_path / "one"), str(tmp_path / "two")]

    async def main():
        async with endpoint(local_addr=names[0], family=socket.AF_UNIX) as (one, at_one):
            async with endpoint(
                local_addr=names[1], remote_addr=names[0], family=socket.AF_UNIX
            ) as (two, at_two):
                two.sendto(b"to one")
                assert await at_one.queue.get() == (b"to one", names[1])
                one.sendto(b"to two", names[1])
                assert await at_two.queue.get() == (b"to two", names[0])
        # What is left of a socket is put aside, as with servers.
        async with endpoint(local_addr=names[0], family=socket.AF_UNIX):
            pass

    run(main())


def test_unix_datagrams_without_a_name(run, tmp_path):
    name = str(tmp_path / "one")

    async def main():
        async with endpoint(local_addr=name, family=socket.AF_UNIX) as (_, protocol):
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.sendto(b"x", name)
                assert await protocol.queue.get() == (b"x", None)

    run(main())


def test_other_address_of_a_connected_endpoint(run):
    async def main():
        async with endpoint(local_addr=LOOPBACK) as (one, _):
            address = one.get_extra_info("sockname")
            async with endpoint(remote_addr=address) as (two, _):
                assert two.get_extra_info("peername") == address
                two.sendto(b"x", address)
                with pytest.raises(ValueError, match="Invalid address: must be None or"):
                    two.sendto(b"x", ("127.0.0.1", 1))

    run(main())


# -- pipes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["connect_read_pipe", "connect_write_pipe"])
def test_pipe_that_is_a_file(run, method):
    async def main():
        connect = getattr(asyncio.get_running_loop(), method)
        with tempfile.TemporaryFile() as file:
            with pytest.raises(ValueError, match="Pipe transport is (only )?for pipes"):
                await connect(asyncio.Protocol, file)

    run(main())


def test_pipe_that_is_a_socket(run):
    async def main():
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        with theirs:
            transport, protocol = await loop.connect_write_pipe(Sink, ours)
            transport.write(b"x")
            assert await loop.run_in_executor(None, theirs.recv, 10) == b"x"
            transport.close()
            await protocol.ended

    run(main())


def test_pseudo_terminal(run):
    async def main():
        loop = asyncio.get_running_loop()
        master, slave = pty.openpty()
        with open(master, "rb+", buffering=0) as ours, open(slave, "rb+", buffering=0) as theirs:
            reader, sink = await loop.connect_read_pipe(Sink, ours)
            theirs.write(b"hello\n")
            while sink.data != b"hello\r\n":
                await asyncio.sleep(0)
            reader.close()
            await sink.ended

    run(main())


def test_end_of_a_pseudo_terminal(run, reports):
    """Its other end gone, reading fails with EIO: the end, and nothing to report."""

    async def main():
        loop = asyncio.get_running_loop()
        master, slave = pty.openpty()
        with open(master, "rb", buffering=0) as ours:
            _, sink = await loop.connect_read_pipe(Sink, ours)
            os.close(slave)
            exc = await sink.ended
            assert exc is None or isinstance(exc, OSError)
            return type(exc)

    run(main())


def test_pipe_extra_info(run):
    async def main():
        loop = asyncio.get_running_loop()
        read_fd, write_fd = os.pipe()
        with open(read_fd, "rb", 0) as reader, open(write_fd, "wb", 0) as writer:
            at_end, _ = await loop.connect_read_pipe(Sink, reader)
            writing, _ = await loop.connect_write_pipe(Sink, writer)
            assert at_end.get_extra_info("pipe") is reader
            assert writing.get_extra_info("pipe") is writer
            assert isinstance(at_end, asyncio.ReadTransport)
            assert isinstance(writing, asyncio.WriteTransport)
            assert writing.can_write_eof()
            writing.write_eof()
            await writing.get_protocol().ended
            await at_end.get_protocol().ended

    run(main())
