"""One loop, and what hangs on it, used by many threads while it runs: asyncio promises nothing of
that, but its objects do not crash, and what is asked for happens. Where there is no GIL the threads
are in our code at the same time."""

import asyncio
import contextlib
import gc
import queue
import socket
import threading
import time
import weakref

import pytest

from fastaio import http, new_event_loop, web

# Debug mode refuses what is called in other threads, as asyncio's does.
pytestmark = pytest.mark.without_debug

THREADS = 4
ROUNDS = 300


# -- the loop --------------------------------------------------------------------------------------


def test_callbacks_and_timers(crowd):
    ran = [0] * THREADS

    def count(number):
        ran[number] += 1

    def schedule(loop, number, handles):
        for round_ in range(ROUNDS):
            loop.call_soon(count, number)
            loop.call_soon_threadsafe(count, number)
            loop.call_later(0, count, number)
            loop.call_at(loop.time(), count, number)
            never = loop.call_later(60 + round_, count, number)
            assert never.when() > 0 and repr(never) and never._args is not None
            handles.append(loop.call_soon(int))
            handles.append(never)  # from now on others may cancel it
            with contextlib.suppress(IndexError):
                handles[round_ // 2].cancel()
            never.cancel()
            assert never.cancelled() and never.get_context() is not None
            handle = loop._new_handle(count, number)
            loop._add_callback(handle)
            loop._ready, loop._scheduled, loop.metrics(), repr(loop)

    async def main():
        loop = asyncio.get_running_loop()
        handles = []
        for number in range(THREADS):
            crowd.start(schedule, loop, number, handles)
        await crowd.until_done()
        while any(count < 5 * ROUNDS for count in ran):
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)

    crowd.run(main)
    assert ran == [5 * ROUNDS] * THREADS


def test_handles_cancelled_while_they_run(crowd):
    """By threads that wait for none of it."""
    handles = queue.SimpleQueue()

    def cancel():
        with contextlib.suppress(queue.Empty):
            handle = handles.get(timeout=0.1)
            handle.cancel()
            assert handle.cancelled() and handle._callback in (None, sum) and repr(handle)

    async def main():
        loop = asyncio.get_running_loop()
        for _ in range(THREADS):
            crowd.repeat(cancel)
        for round_ in range(ROUNDS * 10):
            handles.put(loop.call_soon(sum, [round_]))
            handles.put(loop.call_later(0, sum, [round_]))
            handles.put(loop.call_soon_threadsafe(sum, (round_,)))
            if round_ % 10 == 0:
                await asyncio.sleep(0)

    crowd.run(main)


def test_readers_and_writers(crowd):
    def register(loop, pair):
        for _ in range(ROUNDS // 5):
            read = threading.Event()
            loop.add_reader(pair[0], read.set)
            loop.add_writer(pair[1], int)
            loop.remove_writer(pair[1])
            pair[1].send(b"x")
            assert read.wait(20)
            loop.remove_reader(pair[0])
            pair[0].recv(1)
            loop._watches()

    async def main():
        loop = asyncio.get_running_loop()
        with contextlib.ExitStack() as stack:
            for _ in range(THREADS):
                pair = socket.socketpair()
                for end in pair:
                    stack.enter_context(end)
                crowd.start(register, loop, pair)
            await crowd.until_done()

    crowd.run(main)


def test_loops_made_used_and_closed(crowd):
    async def serve():
        async def echo(reader, writer):
            writer.write(await reader.read(100))
            writer.close()

        async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"echo")
            assert await reader.read() == b"echo"
            writer.close()

    def make():
        for round_ in range(ROUNDS // 20):
            crowd.run(serve)
            left = new_event_loop()
            cycle = [left, left.call_soon(int), left.call_later(5, int)]
            left.call_later(60, cycle.append, cycle)
            if round_ % 2:
                left.close()

    for _ in range(THREADS):
        crowd.start(make)
    crowd.collect()
    crowd.join(THREADS)


def test_a_long_callback_keeps_nobody_waiting(crowd):
    """As with a GIL: threads get at the loop while a callback runs, also one that never waits."""
    loop = new_event_loop()
    done = threading.Event()

    def other():
        loop.call_soon(int)
        loop.call_later(60, int).cancel()
        done.set()

    def spin():
        crowd.start(other)
        end = time.monotonic() + 20
        while not done.is_set() and time.monotonic() < end:
            pass
        loop.stop()

    loop.call_soon(spin)
    loop.run_forever()
    loop.close()
    assert done.is_set()


def test_a_chain_of_handles_ends_in_another_thread(crowd):
    loop = new_event_loop()

    def drop(chain):
        for number in range(20000):
            chain = loop._new_handle(int, chain) if number else chain
        handed.put(chain)

    handed = queue.SimpleQueue()
    for _ in range(THREADS):
        crowd.start(drop, loop._new_handle(int))
    for _ in range(THREADS):
        chain = handed.get(timeout=20)
        crowd.start(list.clear, [chain])
        del chain
    crowd.end()
    loop.close()


# -- transports ------------------------------------------------------------------------------------


async def until_closed(writer):
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def use(transport, number):
    for round_ in range(ROUNDS):
        transport.write(b"%d:%04d;" % (number, round_))
        if round_ % 3 == 0:
            transport.writelines([b"%d:" % number, b"more;"])
        transport.pause_reading()
        transport.get_extra_info("peername"), transport.get_write_buffer_size(), repr(transport)
        transport.resume_reading()
        transport.set_write_buffer_limits(high=1000 * number)
        transport.get_write_buffer_limits(), transport.is_reading(), transport.get_protocol()


def check(data):
    for number in range(THREADS):
        of_one = [piece[2:] for piece in data.split(b";") if piece.startswith(b"%d:" % number)]
        expected = []
        for round_ in range(ROUNDS):
            expected += [b"%04d" % round_] + [b"more"] * (round_ % 3 == 0)
        assert of_one == expected


def test_one_transport(crowd):
    received = bytearray()
    ended = []

    async def serve(reader, writer):
        while data := await reader.read(1000):
            received.extend(data)
        ended.append(True)
        await until_closed(writer)

    async def main():
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            for number in range(THREADS):
                crowd.start(use, writer.transport, number)
            await crowd.until_done()
            writer.transport.set_write_buffer_limits()
            await writer.drain()
            crowd.start(writer.transport.close)
            while not ended:
                await asyncio.sleep(0.001)
            await until_closed(writer)

    crowd.run(main)
    check(bytes(received))


def test_transports_closed_by_others(crowd):
    def end(transports):
        for round_, transport in enumerate(transports):
            transport.write(b"last")
            (transport.close if round_ % 2 else transport.abort)()
            transport.is_closing(), repr(transport), transport.get_protocol()

    async def main():
        lost = []

        class Client(asyncio.Protocol):
            def connection_lost(self, exc):
                lost.append(self)

        loop = asyncio.get_running_loop()
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        pairs = [await loop.create_connection(Client, *address) for _ in range(60)]
        for _ in range(THREADS):
            crowd.start(end, [transport for transport, _ in pairs])
        await crowd.until_done()
        while len(lost) < len(pairs):
            await asyncio.sleep(0.001)
        server.close()

    crowd.run(main)


# -- the end of objects in other threads -----------------------------------------------------------


class Cyclic(asyncio.Protocol):
    cycle = None


def test_objects_dropped_by_others(crowd):
    """What was never closed closes itself, whichever thread has the last reference."""
    dropped = queue.SimpleQueue()

    def drop():
        with contextlib.suppress(queue.Empty):
            dropped.get(timeout=0.05)

    async def main():
        loop = asyncio.get_running_loop()
        for _ in range(THREADS):
            crowd.repeat(drop)
        crowd.collect()
        alive = weakref.WeakSet()
        for round_ in range(ROUNDS):
            ours, peer = socket.socketpair()
            ours.setblocking(False)
            transport, protocol = await loop.create_connection(Cyclic, sock=ours)
            alive.add(transport)
            transport.pause_reading()
            transport.write(b"gathered")
            datagrams, _ = await loop.create_datagram_endpoint(
                asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
            )
            datagrams.pause_reading()
            alive.add(datagrams)
            handle = loop.call_later(60, int)
            for each in (transport, datagrams, handle, loop._new_handle(int, transport)):
                dropped.put(each)
            handle.cancel()
            del transport, datagrams, protocol, handle, each
            if round_ % 10 == 0:
                await asyncio.sleep(0)
            peer.close()
            del ours
        while alive:
            gc.collect()
            await asyncio.sleep(0.001)

    crowd.run(main)


def test_cycles_collected_by_others(crowd):
    async def main():
        loop = asyncio.get_running_loop()
        alive = weakref.WeakSet()
        for _ in range(5):
            made = []
            for round_ in range(40):
                ours, peer = socket.socketpair()
                ours.setblocking(False)
                transport, protocol = await loop.create_connection(Cyclic, sock=ours)
                protocol.cycle = [transport, loop._new_handle(int, protocol)]
                if round_ % 2:
                    transport.pause_reading()
                transport.write(b"gathered")
                alive.add(transport)
                made.append((transport, peer))
                del transport, protocol, ours
            while made:
                made.pop()[1].close()
            crowd.collect()
            while alive:
                await asyncio.sleep(0.001)

    crowd.run(main)


def test_servers_dropped_by_others(crowd):
    dropped = queue.SimpleQueue()

    def drop():
        with contextlib.suppress(queue.Empty):
            dropped.get(timeout=0.05)

    async def main():
        for _ in range(THREADS):
            crowd.repeat(drop)
        crowd.collect()
        loop = asyncio.get_running_loop()
        for round_ in range(ROUNDS // 3):
            server = http.HttpServer(answer, head_timeout=0.1)
            ours, peer = socket.socketpair()
            ours.setblocking(False)
            transport, protocol = await loop.create_connection(
                lambda server=server: http.ServerProtocol(server), sock=ours
            )
            peer.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * (round_ % 3) + b"GET ")
            await asyncio.sleep(0)
            if round_ % 2:
                transport.pause_reading()
            for each in (server, transport, protocol):
                dropped.put(each)
            del server, transport, protocol, each
            peer.close()

    crowd.run(main)


async def answer(request):
    await asyncio.sleep(0)
    return web.Response(text=request.path)


# -- HTTP ------------------------------------------------------------------------------------------

READ = [
    "method", "path", "path_qs", "query", "query_string", "headers", "cookies", "host", "remote",
    "scheme", "rel_url", "url", "version", "raw_headers", "match_info", "content_type", "charset",
    "content_length", "http_range", "if_none_match", "loop", "keep_alive", "secure",
]  # fmt: skip


def read(request):
    repr(request), request.task, request.transport, "key" in request
    request["key"] = 1
    return [str(getattr(request, name)) for name in READ]


def test_requests_read_by_many(crowd):
    head = (
        b"POST /some/%61?a=1&b=%20 HTTP/1.1\r\nHost: example.org\r\nCookie: a=b; c=d\r\n"
        b'Content-Type: text/plain; charset=utf-8\r\nContent-Length: 5\r\nIf-None-Match: "a"\r\n'
        b"\r\nhello"
    )

    async def handle(request):
        many = [asyncio.to_thread(read, request) for _ in range(THREADS)]
        given = await asyncio.gather(*many)
        assert given == [given[0]] * THREADS
        assert await request.text() == "hello"
        response = web.Response(text="made")

        def change():
            response.headers["A"] = "b"
            response.body = b"made"
            return response.text, response.content_type, response.status, repr(response)

        await asyncio.gather(*[asyncio.to_thread(change) for _ in range(THREADS)])
        return response

    async def client(address):
        reader, writer = await asyncio.open_connection(*address)
        for _ in range(ROUNDS // 30):
            writer.write(head)
            got = await reader.readuntil(b"\r\n\r\n") + await reader.readexactly(4)
            assert got.startswith(b"HTTP/1.1 200 ") and got.endswith(b"made"), got
        await until_closed(writer)

    async def main():
        async with await http.serve(handle) as server:
            address = server.sockets[0].getsockname()
            await asyncio.gather(*[client(address) for _ in range(4)])

    crowd.run(main)


def test_a_server_looked_at_while_it_serves(crowd):
    async def handle(request):
        if request.path == "/wait":
            await asyncio.sleep(0.001)
        return web.Response(text="text")

    def look(server):
        assert server.connection_count >= 0 and server.counters is not None
        for conn in server.connections:
            looked_at = [conn.transport, conn.task, conn.loop, conn.served, conn.server]
            assert looked_at[4] is server
            request = conn.request
            if request is not None:
                with contextlib.suppress(RuntimeError):  # it is answered: there is no loop any more
                    read(request)

    async def client(address, path):
        reader, writer = await asyncio.open_connection(*address)
        for _ in range(ROUNDS // 3):
            writer.write(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path)
            await reader.readuntil(b"text")
        await until_closed(writer)

    async def main():
        server = http.HttpServer(handle)
        loop = asyncio.get_running_loop()
        listening = await loop.create_server(lambda: http.ServerProtocol(server), "127.0.0.1", 0)
        crowd.repeat(look, server)
        crowd.repeat(look, server)
        crowd.collect()
        address = listening.sockets[0].getsockname()
        paths = [b"/", b"/wait", b"/wait", b"/"]
        await asyncio.gather(*[client(address, path) for path in paths])
        listening.close()

    crowd.run(main)


def test_routes_added_while_they_are_looked_up(crowd):
    from fastaio import _core

    router = _core.Router()
    router.set_fallback(_core.Route(int))

    def add(number):
        for round_ in range(ROUNDS):
            router.add("GET", f"/{number}/{round_}/{{name}}", int)

    def look_up(number):
        for round_ in range(ROUNDS):
            router.resolve("GET", f"/{number}/{round_}/x")

    for number in range(THREADS):
        crowd.start(add, number)
        crowd.start(look_up, number)
    crowd.join(2 * THREADS)
    for number in range(THREADS):
        for round_ in range(ROUNDS):
            _, info = router.resolve("GET", f"/{number}/{round_}/x")
            assert info == {"name": "x"}


def test_clocks_replaced_while_loops_run(crowd, monkeypatch):
    real = time.monotonic

    def replace():
        time.monotonic = lambda: real() + 1000
        time.sleep(0.001)
        time.monotonic = real
        time.sleep(0.001)

    def sleep():
        async def main():
            loop = asyncio.get_running_loop()
            for _ in range(ROUNDS // 10):
                await asyncio.sleep(0)
                assert loop.time() > 0

        crowd.run(main)

    monkeypatch.setattr(time, "monotonic", real)
    for _ in range(THREADS):
        crowd.start(sleep)
    for _ in range(50):
        replace()
