"""add_reader(), add_writer() and their opposites."""

import asyncio
import os
import socket

import pytest


def turn(loop):
    loop.call_soon(loop.stop)
    loop.run_forever()


@pytest.mark.parametrize("by", ["number", "object"])
def test_reader(loop, pair, by):
    a, b = pair
    fd = a if by == "object" else a.fileno()
    got = []

    def readable(size):
        got.append(a.recv(size))
        loop.stop()

    assert loop.add_reader(fd, readable, 10) is None
    b.send(b"one")
    loop.run_forever()
    b.send(b"two")
    loop.run_forever()
    assert got == [b"one", b"two"]
    assert loop.remove_reader(fd) is True
    assert loop.remove_reader(fd) is False
    b.send(b"three")
    turn(loop)
    assert len(got) == 2


def test_reader_fires_as_long_as_there_is_something(loop, pair):
    a, b = pair
    calls = []

    def readable():
        calls.append(1)
        if len(calls) == 3:
            loop.remove_reader(a)
            loop.stop()

    loop.add_reader(a, readable)
    b.send(b"x")
    loop.run_forever()
    assert len(calls) == 3


def test_reader_and_writer_together(loop, pair):
    a, b = pair
    seen = set()

    def ready(what):
        seen.add(what)
        if len(seen) == 2:
            loop.stop()

    loop.add_reader(a, ready, "reader")
    loop.add_writer(a, ready, "writer")
    b.send(b"x")
    loop.run_forever()
    assert seen == {"reader", "writer"}
    assert loop.remove_writer(a) is True
    seen.clear()
    turn(loop)
    turn(loop)
    assert seen == {"reader"}
    assert loop.remove_reader(a) is True


def test_replaced_reader_is_cancelled(loop, pair):
    a, b = pair
    seen = []
    first = loop._add_reader(a, seen.append, 1)
    second = loop._add_reader(a, lambda: (seen.append(2), loop.stop()))
    assert isinstance(first, asyncio.Handle)
    assert first.cancelled()
    assert not second.cancelled()
    b.send(b"x")
    loop.run_forever()
    assert seen == [2]
    loop.remove_reader(a)
    assert second.cancelled()


def test_cancelled_handle_ends_the_watch(loop, pair):
    a, b = pair
    handle = loop._add_reader(a, print)
    handle.cancel()
    b.send(b"x")
    turn(loop)
    turn(loop)
    assert loop.remove_reader(a) is False


def test_peer_gone(loop, pair):
    a, b = pair
    seen = []
    loop.add_reader(a, lambda: (seen.append(a.recv(1)), loop.stop()))
    b.close()
    loop.run_forever()
    assert seen == [b""]
    loop.remove_reader(a)


def test_writer_blocks_until_there_is_room(loop, pair):
    a, b = pair
    filled = 0
    with pytest.raises(BlockingIOError):
        while True:
            filled += a.send(bytes(65536))
    calls = []
    loop.add_writer(a, lambda: (calls.append(1), loop.remove_writer(a), loop.stop()))
    turn(loop)
    assert calls == []
    while filled > 0:
        filled -= len(b.recv(1 << 20))
    loop.run_forever()
    assert calls == [1]


def test_bad_descriptors(loop):
    with pytest.raises(ValueError, match="Invalid file"):
        loop.add_reader(object(), print)
    with pytest.raises(ValueError, match="Invalid file descriptor: -1"):
        loop.add_reader(-1, print)
    with pytest.raises(ValueError, match="Invalid file descriptor: -1"):
        loop.remove_writer(-1)
    with pytest.raises(ValueError, match="Invalid file"):
        loop.remove_reader(object())


def test_closed_descriptor(loop):
    reader, writer = os.pipe()
    os.close(reader)
    os.close(writer)
    with pytest.raises(OSError):
        loop.add_reader(reader, print)
    assert loop.remove_reader(reader) is False


def test_regular_file(loop, tmp_path):
    with open(tmp_path / "file", "w") as file:
        with pytest.raises(PermissionError):
            loop.add_writer(file, print)
        with pytest.raises(PermissionError):
            loop.add_reader(file.fileno(), print)
        assert loop.remove_writer(file) is False


def test_removed_by_the_object_after_it_was_closed(loop):
    a, b = socket.socketpair()
    loop.add_reader(a, print)
    a.close()
    assert loop.remove_reader(a) is True
    b.close()


def test_descriptor_closed_under_us(loop):
    """Neither a hang nor a crash; and the number serves again."""
    turn(loop)  # the loop has all descriptors of its own now
    a, b = socket.socketpair()
    number = a.fileno()
    seen = []
    loop.add_reader(number, seen.append, "old")
    a.close()
    b.close()
    turn(loop)
    assert loop.remove_reader(number) is True
    c, d = socket.socketpair()
    if c.fileno() != number:
        os.dup2(c.fileno(), number)
    loop.add_reader(number, lambda: (seen.append("new"), loop.stop()))
    d.send(b"x")
    loop.run_forever()
    assert seen == ["new"]
    loop.remove_reader(number)
    if c.fileno() != number:
        os.close(number)
    c.close()
    d.close()


def test_transport_uses_the_descriptor(run, pair):
    a, _ = pair

    async def main():
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=a)
        for method in (loop.add_reader, loop.add_writer):
            with pytest.raises(RuntimeError, match="is used by transport"):
                method(a.fileno(), print)
        for method in (loop.remove_reader, loop.remove_writer):
            with pytest.raises(RuntimeError, match="is used by transport"):
                method(a)
        transport.close()
        await asyncio.sleep(0)

    run(main())


def test_blocking_descriptor_stays_blocking(loop):
    reader, writer = os.pipe()
    loop.add_reader(reader, print)
    turn(loop)
    assert os.get_blocking(reader)
    loop.remove_reader(reader)
    os.close(reader)
    os.close(writer)


def test_io_is_served_while_callbacks_keep_coming(loop, pair):
    a, b = pair
    turns = []

    def spin():
        turns.append(1)
        loop.call_soon(spin)

    loop.add_reader(a, loop.stop)
    loop.call_soon(spin)
    loop.call_soon(b.send, b"x")
    loop.run_forever()
    loop.remove_reader(a)
    assert len(turns) < 200


def test_close_with_readers(loop, pair):
    loop.add_reader(pair[0], print)
    loop.close()
    assert loop.remove_reader(pair[0]) is False
    with pytest.raises(RuntimeError, match="closed"):
        loop.add_reader(pair[0], print)


async def wait_for_another_thread():
    """Nothing else ends the wait before the timer does."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    guard = loop.call_later(10, loop.stop)
    await loop.run_in_executor(None, os.getpid)
    guard.cancel()
    assert loop.time() - begun < 5


def test_the_number_of_a_closed_descriptor_may_become_the_loops(run):
    """The loop opens descriptors of its own at its first wait; it is told of ours after that."""

    async def main():
        loop = asyncio.get_running_loop()
        a, b = socket.socketpair()
        with b:
            fd = a.fileno()
            loop.add_reader(fd, print)
            a.close()
            await asyncio.sleep(0.001)
            loop.remove_reader(fd)
            await wait_for_another_thread()

    run(main())


@pytest.mark.parametrize("number", [9_999, 100_000_000, 2**31 - 1])
def test_numbers_of_no_file(loop, number):
    for method in (loop.add_reader, loop.add_writer):
        with pytest.raises(OSError, match="Bad file descriptor"):
            method(number, print)
    assert loop.remove_reader(number) is False


@pytest.mark.parametrize("number", [2**31, 2**32 + 1, 2**70])
def test_numbers_that_cannot_be_a_files(loop, number):
    with pytest.raises(OverflowError, match="too large to convert to C int"):
        loop.add_reader(number, print)
    assert loop.remove_reader(number) is False


def test_the_descriptor_of_a_closing_transport(run):
    async def main():
        loop = asyncio.get_running_loop()
        ours, peer = socket.socketpair()
        with peer:
            transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
            number = ours.fileno()
            with pytest.raises(RuntimeError, match="is used by transport"):
                loop.remove_reader(number)
            transport.close()
            assert loop.remove_reader(number) is False
            assert loop.remove_writer(number) is False
            loop.add_reader(number, print)
            loop.add_writer(number, print)
            assert loop.remove_reader(number) is True
            assert loop.remove_writer(number) is True
            await asyncio.sleep(0)
            assert ours.fileno() == -1

    run(main())


def test_an_accepted_connection_that_closes(run):
    """Its descriptor is closed, though it was registered in between."""

    async def main():
        loop = asyncio.get_running_loop()
        made = loop.create_future()

        class Protocol(asyncio.Protocol):
            def connection_made(self, transport):
                made.set_result(transport)

        server = await loop.create_server(Protocol, "127.0.0.1", 0)
        with socket.create_connection(server.sockets[0].getsockname()) as peer:
            transport = await made
            number = transport._sock_fd
            transport.close()
            loop.add_reader(number, print)
            loop.remove_reader(number)
            assert await asyncio.to_thread(peer.recv, 1) == b""
        server.close()
        await server.wait_closed()
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(number)

    run(main())


def test_a_registered_file_that_was_closed_before_the_first_run(loop, pair):
    a, b = pair
    loop.add_reader(a, print)
    loop.add_reader(b, print)
    a.close()
    b.close()
    turn(loop)
    assert loop.remove_reader(a) is True
    assert loop.remove_reader(b) is True
