"""What a turn is: the kernel is asked once in each, and what it says runs behind what waited."""

import asyncio
import os
import signal
import socket
import threading

import pytest


class Logger(asyncio.Protocol):
    def __init__(self, log, then=None):
        self.log = log
        self.then = then

    def data_received(self, data):
        self.log.append(bytes(data).decode())
        if self.then is not None:
            asyncio.get_running_loop().call_soon(self.log.append, self.then)

    datagram_received = None


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self, log):
        self.log = log

    def datagram_received(self, data, addr):
        self.log.append(data.decode())


class Small(asyncio.BufferedProtocol):
    """A buffer of two bytes, looked at in a later call."""

    def __init__(self, log):
        self.log = log
        self.buffer = bytearray(2)

    def get_buffer(self, sizehint):
        return self.buffer

    def buffer_updated(self, size):
        asyncio.get_running_loop().call_soon(self.look, size)

    def look(self, size):
        self.log.append(self.buffer[:size].decode())


async def connected(sock, log, then=None):
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(lambda: Logger(log, then), sock=sock)
    return transport


async def turns_until(log, length=1):
    """How many turns it takes until there are so many entries."""
    turns = 0
    while len(log) < length:
        await asyncio.sleep(0)
        turns += 1
        assert turns < 1000
    return turns


async def settle():
    for _ in range(50):
        await asyncio.sleep(0)


async def reads_by_transport(a, b, log):
    return await connected(a, log)


async def reads_by_callback(a, b, log):
    asyncio.get_running_loop().add_reader(a, lambda: log.append(a.recv(10).decode()))


async def reads_by_sock_recv(a, b, log):
    async def read():
        log.append((await asyncio.get_running_loop().sock_recv(a, 10)).decode())

    return asyncio.create_task(read())


async def reads_by_stream(a, b, log):
    reader, writer = await asyncio.open_connection(sock=a)

    async def read():
        log.append((await reader.read(10)).decode())

    return writer, asyncio.create_task(read())


@pytest.mark.parametrize(
    ("reads", "turns"),
    [
        (reads_by_transport, 2),
        (reads_by_callback, 2),
        (reads_by_sock_recv, 3),
        (reads_by_stream, 3),
    ],
)
def test_what_has_come_in_is_seen_in_the_next_turn(run, pair, reads, turns):
    async def main():
        log = []
        a, b = pair
        kept = await reads(a, b, log)
        await settle()
        b.send(b"data")
        assert await turns_until(log) == turns
        loop = asyncio.get_running_loop()
        loop.remove_reader(a) if kept is None else None
        for one in kept if isinstance(kept, tuple) else (kept,):
            if isinstance(one, asyncio.BaseTransport | asyncio.StreamWriter):
                one.close()
        await settle()

    run(main())


def test_a_datagram_is_seen_in_the_next_turn(run):
    async def main():
        log = []
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: Datagrams(log), local_addr=("127.0.0.1", 0)
        )
        await settle()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"data", transport.get_extra_info("sockname"))
        assert await turns_until(log) == 2
        transport.close()
        await settle()

    run(main())


def test_a_pipe_is_seen_in_the_next_turn(run):
    async def main():
        log = []
        loop = asyncio.get_running_loop()
        read, write = os.pipe()
        transport, _ = await loop.connect_read_pipe(lambda: Logger(log), os.fdopen(read, "rb", 0))
        await settle()
        os.write(write, b"data")
        assert await turns_until(log) == 2
        os.close(write)
        transport.close()
        await settle()

    run(main())


def test_a_write_is_seen_by_the_other_end_in_the_next_turn(run, pair):
    class Echo(asyncio.Protocol):
        def connection_made(self, transport):
            self.transport = transport

        def data_received(self, data):
            self.transport.write(data)

    async def main():
        log = []
        a, b = pair
        loop = asyncio.get_running_loop()
        echo, _ = await loop.create_connection(Echo, sock=b)
        transport = await connected(a, log)
        await settle()
        transport.write(b"there and back")
        assert await turns_until(log) == 3
        echo.close()
        transport.close()
        await settle()

    run(main())


def test_a_connection_is_accepted_in_the_next_turn(run):
    async def main():
        log = []
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: log.append("made") or Logger(log), "127.0.0.1", 0)
        await settle()
        with socket.create_connection(server.sockets[0].getsockname()):
            # The factory runs in a task of its own, so one turn later, on asyncio's loop.
            assert await turns_until(log) in (2, 3)
            await settle()
        server.close()
        await settle()

    run(main())


def test_a_signal_is_seen_in_the_next_turn(run):
    async def main():
        log = []
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, log.append, "signal")
        await settle()
        os.kill(os.getpid(), signal.SIGUSR1)
        assert await turns_until(log) == 3
        loop.remove_signal_handler(signal.SIGUSR1)

    run(main())


def test_what_waits_runs_before_what_comes_in(run, pair):
    async def main():
        log = []
        a, b = pair
        transport = await connected(a, log)
        await settle()
        b.send(b"data")
        asyncio.get_running_loop().call_soon(log.append, "soon")
        await turns_until(log, 2)
        assert log == ["soon", "data"]
        transport.close()
        await settle()

    run(main())


def test_events_then_timers_then_what_they_ask_for(run, pair):
    async def main():
        log = []
        a, b = pair
        transport = await connected(a, log, "after")
        await settle()
        b.send(b"data")
        asyncio.get_running_loop().call_later(0, log.append, "timer")
        await turns_until(log, 3)
        assert log == ["data", "timer", "after"]
        transport.close()
        await settle()

    run(main())


def test_reading_is_paused_by_what_waited(run, pair):
    async def main():
        log = []
        a, b = pair
        transport = await connected(a, log)
        await settle()
        b.send(b"data")
        asyncio.get_running_loop().call_soon(transport.pause_reading)
        await settle()
        assert log == []
        transport.resume_reading()
        assert await turns_until(log) == 2
        transport.close()
        await settle()

    run(main())


def test_reading_paused_and_resumed_by_what_waited(run, pair):
    async def main():
        log = []
        a, b = pair
        transport = await connected(a, log)
        await settle()

        def again():
            transport.pause_reading()
            transport.resume_reading()

        b.send(b"data")
        asyncio.get_running_loop().call_soon(again)
        assert await turns_until(log) == 3
        transport.close()
        await settle()

    run(main())


def test_a_transport_closed_by_what_waited_reads_no_more(run, pair):
    async def main():
        log = []
        a, b = pair
        transport = await connected(a, log)
        await settle()
        b.send(b"data")
        asyncio.get_running_loop().call_soon(transport.close)
        await settle()
        assert log == []

    run(main())


def test_a_buffer_is_filled_once_a_turn(run, pair):
    async def main():
        log = []
        a, b = pair
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(lambda: Small(log), sock=a)
        await settle()
        b.send(b"abcdefg")
        await turns_until(log, 4)
        assert log == ["ab", "cd", "ef", "g"]
        transport.close()
        await settle()

    run(main())


def test_another_threads_call_before_its_data(run, pair):
    rounds = 300

    async def main():
        log = []
        a, b = pair
        loop = asyncio.get_running_loop()
        transport = await connected(a, log)
        go = threading.Semaphore(0)

        def other():
            for _ in range(rounds):
                go.acquire()
                loop.call_soon_threadsafe(log.append, "call")
                b.send(b"data")

        thread = threading.Thread(target=other)
        thread.start()
        for number in range(rounds):
            go.release()
            while len(log) < 2 * number + 2:
                await asyncio.sleep(0)
        thread.join()
        assert log == ["call", "data"] * rounds
        transport.close()
        await settle()

    run(main())
