"""csrc/loop/metrics.c: what loop.metrics() counts, and from where it may be asked."""

import asyncio
import os
import socket
import threading
import time

import pytest

import fastaio


def turns(loop, count):
    for _ in range(count):
        loop.call_soon(loop.stop)
        loop.run_forever()


def test_of_a_new_loop(loop):
    assert loop.metrics() == fastaio.LoopMetrics(*[0] * 5, *[0.0] * 5, *[0] * 6)


def test_of_a_poll_by_the_program(loop):
    assert loop._selector.select(0.01) == []
    seen = loop.metrics()
    assert 0.009 < seen.waiting < 1
    assert seen.working < 1


def test_cannot_be_changed(loop):
    with pytest.raises(AttributeError):
        loop.metrics().turns = 3


def test_of_a_closed_loop(loop):
    loop.close()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.metrics()


def test_turns_and_callbacks(loop):
    turns(loop, 3)
    seen = loop.metrics()
    assert (seen.turns, seen.callbacks) == (3, 3)
    for _ in range(7):
        loop.call_soon(int)
    loop.call_soon(int).cancel()
    loop.call_later(0, int)
    turns(loop, 1)
    assert loop.metrics().turns == 4
    assert 3 + 8 <= loop.metrics().callbacks <= 3 + 10


def test_what_waits(loop):
    handles = [loop.call_later(3600, int) for _ in range(3)]
    loop.call_soon(int)
    loop.call_soon_threadsafe(int)
    seen = loop.metrics()
    assert (seen.ready, seen.timers) == (2, 3)
    handles[0].cancel()
    assert loop.metrics().timers == 2


def test_descriptors(loop):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for sock in (ours, theirs):
            sock.setblocking(False)
            loop.add_reader(sock, int)
        loop.add_writer(ours, int)
        assert loop.metrics().descriptors == 2
        loop.remove_reader(theirs)
        assert loop.metrics().descriptors == 1
        loop.remove_reader(ours)
        loop.remove_writer(ours)
        assert loop.metrics().descriptors == 0


def test_own_descriptors_are_not_counted(loop):
    async def main():
        await asyncio.to_thread(int)
        return loop.metrics().descriptors

    assert loop.run_until_complete(main()) == 0


def counts(loop):
    seen = loop.metrics()
    return {name: getattr(seen, name) for name in fastaio.LoopMetrics._fields[10:]}


NONE = dict.fromkeys(fastaio.LoopMetrics._fields[10:], 0)


def test_tcp_and_listeners(loop):
    async def main():
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        assert counts(loop) == NONE | {"listeners": 1}
        address = server.sockets[0].getsockname()
        transport, _ = await loop.create_connection(asyncio.Protocol, *address)
        while counts(loop)["tcp"] < 2:
            await asyncio.sleep(0)
        assert counts(loop) == NONE | {"listeners": 1, "tcp": 2}
        transport.pause_reading()
        assert counts(loop)["tcp"] == 2
        transport.abort()
        server.close()
        while counts(loop) != NONE:
            await asyncio.sleep(0)

    loop.run_until_complete(main())


def test_unix_pipes_and_datagrams(loop):
    async def main():
        ours, theirs = socket.socketpair()
        unix, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
        reading, writing = (
            os.fdopen(fd, mode, 0) for fd, mode in zip(os.pipe(), ("rb", "wb"), strict=True)
        )
        into, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, writing)
        out, _ = await loop.connect_read_pipe(asyncio.Protocol, reading)
        udp, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
        )
        assert counts(loop) == NONE | {"unix": 1, "pipes": 2, "datagrams": 1}
        for transport in (unix, into, out, udp):
            transport.close()
        theirs.close()
        while counts(loop) != NONE:
            await asyncio.sleep(0)

    loop.run_until_complete(main())


def test_tls(loop, server_context, client_context):
    async def main():
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0, ssl=server_context)
        transport, _ = await loop.create_connection(
            asyncio.Protocol,
            *server.sockets[0].getsockname(),
            ssl=client_context,
            server_hostname="localhost",
        )
        assert counts(loop) == NONE | {"listeners": 1, "tcp": 2, "tls": 2}
        transport.close()
        server.close()
        while counts(loop) != NONE:
            await asyncio.sleep(0)

    loop.run_until_complete(main())


def test_lag_of_a_callback(loop):
    turns(loop, 1)
    loop.metrics()
    loop.call_soon(time.sleep, 0.02)
    turns(loop, 2)
    seen = loop.metrics()
    assert 0.02 <= seen.lag_max
    turns(loop, 2)
    assert loop.metrics().lag_max < seen.lag_max


def test_lag_of_a_timer(loop):
    async def main():
        loop.call_later(0.001, int)
        time.sleep(0.02)
        loop.metrics()
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    loop.run_until_complete(main())
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert loop.metrics().lag_max >= 0.015


def test_lag_and_busy_include_what_is_under_way(loop):
    """A watchdog in another thread sees the callback that hangs."""
    begun, seen = threading.Event(), []

    def watch():
        begun.wait()
        seen.append(loop.metrics())
        while seen[-1].lag_max < 0.02:
            seen.append(loop.metrics())
        loop_may_go_on.set()

    def hang():
        begun.set()
        loop_may_go_on.wait()

    loop_may_go_on = threading.Event()
    thread = threading.Thread(target=watch)
    thread.start()
    loop.call_soon(hang)
    turns(loop, 1)
    thread.join()
    assert seen[-1].busy == 1.0
    assert seen[-1].working >= 0.02


def test_a_loop_that_waits_is_not_busy(loop):
    async def main():
        loop.metrics()
        await asyncio.sleep(0.02)
        return loop.metrics()

    seen = loop.run_until_complete(main())
    assert seen.waiting >= 0.019
    assert seen.busy < 0.5


def test_asked_from_another_thread_while_the_loop_waits(loop):
    seen = []

    def watch():
        seen.append(loop.metrics())
        while seen[-1].waiting < 0.02:
            seen.append(loop.metrics())
        loop.call_soon_threadsafe(loop.stop)

    thread = threading.Thread(target=watch)
    loop.call_soon(thread.start)
    loop.run_forever()
    thread.join()
    assert loop.metrics().waiting >= 0.02


def test_time_between_runs_does_not_count(loop):
    turns(loop, 1)
    time.sleep(0.02)
    turns(loop, 1)
    seen = loop.metrics()
    assert seen.working + seen.waiting < 0.02
    assert seen.lag_max < 0.02


def test_turns_by_hand(loop):
    time.sleep(0.02)
    loop.call_soon(int)
    loop._run_once()
    seen = loop.metrics()
    assert (seen.turns, seen.callbacks) == (1, 1)
    assert 0 < seen.working < 0.02


def test_a_clock_of_ones_own(loop):
    loop.time = lambda: 1e6
    loop.call_later(-500, int)
    turns(loop, 2)
    assert loop.metrics().lag_max < 100
