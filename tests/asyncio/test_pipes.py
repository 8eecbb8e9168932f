"""Pipe transports: connect_read_pipe() and connect_write_pipe() on both loops."""

import asyncio
import os
import pty
import socket

import pytest

import fastaio


class Reader(asyncio.Protocol):
    def __init__(self):
        loop = asyncio.get_running_loop()
        self.calls = []
        self.received = b""
        self.news = asyncio.Event()
        self.lost = loop.create_future()

    def connection_made(self, transport):
        self.calls.append("made")

    def data_received(self, data):
        self.received += data
        self.news.set()

    def eof_received(self):
        self.calls.append("eof")

    def connection_lost(self, exc):
        self.calls.append("lost")
        self.lost.set_result(exc)

    async def receive(self, size):
        while len(self.received) < size:
            self.news.clear()
            await self.news.wait()
        data, self.received = self.received[:size], self.received[size:]
        return data


class Writer(asyncio.BaseProtocol):
    def __init__(self):
        self.calls = []
        self.resumed = asyncio.Event()
        self.lost = asyncio.get_running_loop().create_future()

    def pause_writing(self):
        self.calls.append("pause")

    def resume_writing(self):
        self.calls.append("resume")
        self.resumed.set()

    def connection_lost(self, exc):
        self.lost.set_result(exc)


async def reading(fd):
    loop = asyncio.get_running_loop()
    return await loop.connect_read_pipe(Reader, os.fdopen(fd, "rb", 0))


async def writing(fd):
    loop = asyncio.get_running_loop()
    return await loop.connect_write_pipe(Writer, os.fdopen(fd, "wb", 0))


def test_bytes_through_a_pipe(run):
    async def main():
        read_fd, write_fd = os.pipe()
        read_transport, reader = await reading(read_fd)
        write_transport, writer = await writing(write_fd)
        assert isinstance(read_transport, asyncio.ReadTransport)
        assert isinstance(write_transport, asyncio.WriteTransport)
        assert read_transport.get_extra_info("pipe").fileno() == read_fd
        write_transport.write(b"one")
        write_transport.write(bytearray(b"two"))
        write_transport.writelines([b"thr", memoryview(b"ee")])
        assert await reader.receive(11) == b"onetwothree"
        write_transport.close()
        assert await writer.lost is None
        assert await reader.lost is None
        assert reader.calls == ["made", "eof", "lost"]
        assert read_transport.is_closing()
        assert write_transport.is_closing()

    run(main())


def test_written_at_once(run):
    async def main():
        read_fd, write_fd = os.pipe()
        transport, writer = await writing(write_fd)
        transport.write(b"now")
        assert os.read(read_fd, 10) == b"now"
        transport.close()
        await writer.lost
        os.close(read_fd)

    run(main())


def test_more_than_the_pipe_holds(run):
    data = b"x" * 1_000_000

    async def main():
        read_fd, write_fd = os.pipe()
        _, reader = await reading(read_fd)
        transport, writer = await writing(write_fd)
        transport.write(data)
        assert transport.get_write_buffer_size() > 0
        assert writer.calls == ["pause"]
        transport.write_eof()
        assert await reader.receive(len(data)) == data
        assert await writer.lost is None
        await reader.lost

    run(main())


def test_pause_reading(run):
    async def main():
        read_fd, write_fd = os.pipe()
        transport, reader = await reading(read_fd)
        transport.pause_reading()
        assert not transport.is_reading()
        os.write(write_fd, b"x")
        for _ in range(3):
            await asyncio.sleep(0)
        assert reader.received == b""
        transport.resume_reading()
        assert await reader.receive(1) == b"x"
        transport.close()
        assert await reader.lost is None
        os.close(write_fd)

    run(main())


def test_reader_gone(run):
    async def main():
        read_fd, write_fd = os.pipe()
        transport, writer = await writing(write_fd)
        os.close(read_fd)
        assert await writer.lost is None
        for _ in range(10):
            transport.write(b"nowhere")

    run(main())


def test_reader_gone_with_output_waiting(run):
    async def main():
        read_fd, write_fd = os.pipe()
        transport, writer = await writing(write_fd)
        transport.write(b"x" * 1_000_000)
        os.close(read_fd)
        assert isinstance(await writer.lost, BrokenPipeError)

    run(main())


def test_regular_file_is_refused(run, tmp_path):
    async def main():
        loop = asyncio.get_running_loop()
        path = tmp_path / "file"
        path.write_bytes(b"content")
        with path.open("rb", 0) as file, pytest.raises(ValueError, match="for pipes/sockets only"):
            await loop.connect_read_pipe(Reader, file)
        with path.open("ab", 0) as file, pytest.raises(ValueError, match="character devices"):
            await loop.connect_write_pipe(Writer, file)
        assert path.read_bytes() == b"content"

    run(main())


def test_terminal(run):
    async def main():
        master, slave = pty.openpty()
        read_transport, reader = await reading(os.dup(master))
        transport, writer = await writing(slave)
        transport.write(b"line\n")
        assert await reader.receive(6) == b"line\r\n"
        transport.close()
        await writer.lost
        read_transport.close()
        await reader.lost
        os.close(master)

    run(main())


def test_abort(run):
    async def main():
        read_fd, write_fd = os.pipe()
        transport, writer = await writing(write_fd)
        transport.write(b"x" * 1_000_000)
        transport.abort()
        assert transport.get_write_buffer_size() == 0
        assert await writer.lost is None
        os.close(read_fd)

    run(main())


async def take(sock, size):
    while size > 0:
        size -= len(await asyncio.get_running_loop().sock_recv(sock, size))


def test_a_socket_is_read_pipe_and_write_pipe(run):
    async def main():
        ours, theirs = socket.socketpair()
        loop = asyncio.get_running_loop()
        with theirs:
            theirs.setblocking(False)
            sender, writer = await loop.connect_write_pipe(Reader, ours)
            receiver, reader = await loop.connect_read_pipe(Reader, ours)
            sender.write(b"out")
            assert await loop.sock_recv(theirs, 10) == b"out"
            # More than there is room for: it waits, and input comes all the same.
            sender.write(bytes(1 << 20))
            await loop.sock_sendall(theirs, b"in")
            await reader.news.wait()
            assert reader.received == b"in"
            await take(theirs, 1 << 20)
            await asyncio.sleep(0)
            assert not sender.is_closing() and not receiver.is_closing()
            theirs.shutdown(socket.SHUT_WR)
            await reader.lost
            sender.abort()
            await writer.lost

    run(main())


def test_a_socket_is_write_pipe_after_read_pipe():
    """On asyncio the end of reading is taken from the read pipe by the write pipe."""

    async def main():
        ours, theirs = socket.socketpair()
        loop = asyncio.get_running_loop()
        with theirs:
            theirs.setblocking(False)
            receiver, reader = await loop.connect_read_pipe(Reader, ours)
            await asyncio.sleep(0)
            sender, writer = await loop.connect_write_pipe(Reader, ours)
            sender.write(bytes(1 << 20))
            await loop.sock_sendall(theirs, b"in")
            await reader.news.wait()
            assert reader.received == b"in"
            await take(theirs, 1 << 20)
            assert not sender.is_closing() and not receiver.is_closing()
            sender.abort()
            receiver.close()
            await writer.lost
            await reader.lost

    fastaio.run(main())


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="Linux")
def test_the_number_of_a_pipes_duplicate_may_become_another_files():
    """As where a daemon closes whatever it finds open."""

    def numbers():
        listed = os.listdir("/proc/self/fd")  # one of them is the listing itself
        return {int(name) for name in listed if os.path.exists(f"/proc/self/fd/{name}")}

    async def main():
        ours, theirs = socket.socketpair()
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda *_: None)
        receiver, reader = await loop.connect_read_pipe(Reader, ours)
        await asyncio.sleep(0)
        before = numbers()
        sender, writer = await loop.connect_write_pipe(Reader, ours)
        await asyncio.sleep(0)
        (number,) = numbers() - before
        source, sink = os.pipe()
        os.dup2(source, number)
        os.close(source)
        another, news = await loop.connect_read_pipe(Reader, os.fdopen(number, "rb", 0))
        await writer.lost
        os.write(sink, b"still open")
        await news.news.wait()
        assert news.received == b"still open"
        os.close(sink)
        await news.lost
        receiver.close()
        await reader.lost
        theirs.close()

    fastaio.run(main())
