"""What hangs on connections, used by other threads than the loop's, and what runs while a thread is
in our code: as in test_threads_at_once.py, nothing crashes, and nobody waits for ever."""

import asyncio
import contextlib
import gc
import socket
import sysconfig
import threading
import time

import pytest

from fastaio import http, new_event_loop, web

# Debug mode refuses what is called in other threads, as asyncio's does.
pytestmark = pytest.mark.without_debug

NO_GIL = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
THREADS = 4
ROUNDS = 300


# -- who waits for whom ----------------------------------------------------------------------------


class Other:
    """A thread that calls the loop; spin() waits for it without ever waiting for a lock."""

    def __init__(self, crowd, loop):
        self.crowd = crowd
        self.loop = loop
        self.done = []
        self.spinning = False
        self.in_time = False

    def call(self):
        while not self.spinning:
            pass
        self.loop.call_soon(int)
        self.loop.call_later(60, int).cancel()
        self.done.append(True)

    def spin(self):
        self.crowd.start(self.call)
        self.spinning = True
        end = time.monotonic() + 10
        while not self.done and time.monotonic() < end:
            pass
        self.in_time = bool(self.done)


def test_an_eager_step_keeps_nobody_waiting(crowd):
    async def main():
        loop = asyncio.get_running_loop()
        other = Other(crowd, loop)

        async def first_step():
            other.spin()

        loop.set_task_factory(getattr(asyncio, "eager_task_factory", None))
        await loop.create_task(first_step())
        assert other.in_time

    crowd.run(main)


def test_a_repr_keeps_nobody_waiting(crowd):
    loop = new_event_loop()
    other = Other(crowd, loop)

    class Callback:
        def __call__(self):
            pass

        def __repr__(self):
            other.spin()
            return "callback"

    assert "callback" in repr(loop.call_soon(Callback()))
    loop.close()
    assert other.in_time


def test_a_handle_run_by_hand_beside_the_loop(crowd):
    """It is refused, for its context is entered; and if that is still being reported when the loop
    has run it to the end, nobody waits for that end any more."""
    loop = new_event_loop()
    entered, refused, leave, reported = [threading.Event() for _ in range(4)]

    def callback():
        entered.set()
        assert leave.wait(20)

    def report(context):
        refused.set()
        assert reported.wait(20)

    loop.call_exception_handler = report
    handle = loop.call_soon_threadsafe(callback)
    crowd.start(loop.run_forever)
    assert entered.wait(20)
    crowd.start(handle._run)
    assert refused.wait(20)
    leave.set()
    ran = threading.Event()
    loop.call_soon_threadsafe(ran.set)
    assert ran.wait(20)
    reported.set()
    crowd.threads[1].join(20)
    if NO_GIL:
        crowd.start(handle.cancel)
        crowd.threads[2].join(5)
    over = not crowd.threads[-1].is_alive() or not NO_GIL
    loop.call_soon_threadsafe(loop.stop)
    loop.call_soon_threadsafe(int)
    crowd.threads[0].join(20)
    assert over


def test_an_exception_handler_keeps_nobody_waiting(crowd):
    loop = new_event_loop()
    other = Other(crowd, loop)
    loop.set_exception_handler(lambda loop, context: other.spin())
    loop.call_soon(divmod, 1, 0)
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    assert other.in_time


# -- handles ---------------------------------------------------------------------------------------


def test_handles_set_while_they_run(crowd):
    """Each is called with what it was given or with what was set, and nothing else."""
    loop = new_event_loop()
    handles = []
    called = []

    def given(*args):
        called.append(args)

    def change():
        for handle in handles[-50:]:
            handle._args = (1, 2)
            handle._callback = given
            repr([handle._args, handle._callback, handle._context])

    def again(left):
        for handle in handles[-30:]:
            handle.cancel()
        del handles[:]
        handles.extend(loop.call_soon(given, number, 0, 0) for number in range(30))
        handles.extend(loop.call_later(0, given, number) for number in range(20))
        loop.call_soon(again, left - 1) if left else loop.stop()

    for _ in range(THREADS):
        crowd.repeat(change)
    loop.call_soon(again, ROUNDS)
    loop.run_forever()
    crowd.end()
    loop.close()
    assert called and all(args == (1, 2) or len(args) in (1, 3) for args in called)


def test_timers_moved_and_asked_at_once(crowd):
    loop = new_event_loop()
    timers = [loop.call_later(60, int) for _ in range(10)]

    def move(number):
        for round_ in range(ROUNDS * 3):
            timer = timers[round_ % 10]
            timer._when = 1000.5 + number + round_ if round_ % 2 else 10**9 + round_
            assert timer.when() >= 1000 and hash(timer) is not None and timer != timers[0]._when
            loop.call_at(10**9 + round_, int).cancel()

    class Number(int):
        pass

    for number in range(THREADS):
        crowd.start(move, number)
    while crowd.alive():
        loop.call_at(Number(10**9), int).cancel()
    for timer in timers:
        timer.cancel()
    assert not loop._scheduled
    loop.close()


async def until_closed(writer):
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


# -- servers ---------------------------------------------------------------------------------------


async def get(address, path, end):
    reader, writer = await asyncio.open_connection(*address)
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        for _ in range(ROUNDS // 10):
            writer.write(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path)
            await reader.readuntil(end)
    await until_closed(writer)


async def serving(handle, use):
    server = http.HttpServer(handle)
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(lambda: http.ServerProtocol(server), "127.0.0.1", 0)
    try:
        await use(server, listening.sockets[0].getsockname())
    finally:
        listening.close()


def test_responses_changed_while_they_are_sent(crowd):
    """What is held is the response and the connection, both for sure."""
    shown = []

    def change():
        for response in shown[-3:]:
            with contextlib.suppress(AttributeError, AssertionError, RuntimeError, ValueError):
                response.headers["X-Changed"] = "x" * 50
                response.content_type, response.status, repr(response)
                response.set_cookie("a", "b")
                response.body = b"body of another length" * 300
                response.set_status(200)
                repr(response.text)

    async def handle(request):
        response = web.Response(body=b"body" * 2000, headers={"X-Own": "own"})
        shown.append(response)
        del shown[:-3]
        await asyncio.sleep(0)
        return response

    async def stream(request):
        response = web.StreamResponse(headers={"X-Own": "own"})
        shown.append(response)
        await response.prepare(request)
        writes = [asyncio.to_thread(write, response) for _ in range(3)]
        await asyncio.gather(*writes)
        await response.write_eof()
        return response

    def write(response):
        for _ in range(10):
            with contextlib.suppress(ConnectionError, RuntimeError):
                response.write(b"piece" * 10)

    async def route(request):
        return await (stream if request.path == "/stream" else handle)(request)

    def cut(server):
        for conn in server.connections:
            if conn.served % 7 == 6:
                conn.abort()
        time.sleep(0.001)

    async def use(server, address):
        for _ in range(THREADS):
            crowd.repeat(change)
        crowd.repeat(cut, server)
        for _ in range(ROUNDS // 50):
            paths = [b"/", b"/stream", b"/", b"/stream"]
            await asyncio.gather(*[get(address, path, b"\r\n\r\n") for path in paths])

    crowd.run(lambda: serving(route, use))


def test_tasks_of_handlers_looked_at_while_they_end(crowd):
    tasks = []

    def look():
        for task in tasks[-20:]:
            coro = task.get_coro()
            repr(coro)  # not of the task: its frame is no thread's but the one it runs in
            if coro is not None:
                for name in ("cr_code", "cr_running", "__name__", "__qualname__"):
                    getattr(coro, name)
                with contextlib.suppress(ValueError, RuntimeError, StopIteration):
                    coro.send(1)

    async def handle(request):
        tasks.append(asyncio.current_task())
        del tasks[:-20]
        for _ in range(len(request.path)):
            await asyncio.sleep(0)
        return web.Response(text="made")

    async def use(server, address):
        for _ in range(THREADS):
            crowd.repeat(look)
        await asyncio.gather(*[get(address, b"/" + b"x" * n, b"made") for n in range(4)])

    crowd.run(lambda: serving(handle, use))


def test_a_first_look_at_a_request_by_many(crowd):
    """What is made when it is asked for is made once, or one of them is what stays."""
    waiting = []

    def look(request, gate):
        gate.wait()
        return [request.url, request.rel_url, request.query_string, request.host, request.path_qs]

    async def handle(request):
        gate = threading.Barrier(THREADS)
        looks = [asyncio.to_thread(look, request, gate) for _ in range(THREADS)]
        given = await asyncio.gather(*looks)
        for each in given:
            assert each == given[0]
            assert all(one is other for one, other in zip(each[:2], given[0][:2], strict=True))
        waiting.append(given)
        return web.Response(text="made")

    async def use(server, address):
        await get(address, b"/%61?a=%20&b=+c", b"made")

    crowd.run(lambda: serving(handle, use))
    assert len(waiting) == ROUNDS // 10


def test_bodies_read_and_cut_by_others(crowd):
    """Readers of a body in threads, connections that are closed meanwhile, waits for no more."""

    def poke(content):
        for _ in range(20):
            with contextlib.suppress(RuntimeError, ConnectionError):
                content.read_nowait(), content.at_eof(), content.is_eof(), repr(content)
                content.exception(), content.get_read_buffer_limits()

    async def handle(request):
        content = request.content
        pokes = [asyncio.to_thread(poke, content) for _ in range(2)]
        with contextlib.suppress(ConnectionError, RuntimeError):
            await content.read()
        await asyncio.gather(*pokes)
        return web.Response(text="made")

    async def cut_short(address, number):
        reader, writer = await asyncio.open_connection(*address)
        head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n"
        writer.write(head + b"x" * (1000 * number))
        await asyncio.sleep(0.001 * (number % 3))
        if number % 2:
            writer.transport.abort()
        else:
            writer.write(b"x" * (200000 - 1000 * number))
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await reader.readuntil(b"\r\n\r\n")
        await until_closed(writer)

    async def use(server, address):
        crowd.collect()
        for _ in range(5):
            await asyncio.gather(*[cut_short(address, number) for number in range(12)])
            server.cancel_handlers()
        server.pre_shutdown()
        waits = [asyncio.to_thread(server.wait_empty) for _ in range(THREADS)]
        for wait in await asyncio.gather(*waits):
            await wait

    crowd.run(lambda: serving(handle, use))


def test_one_server_on_two_loops(crowd):
    """It belongs to the loop of its first connection; the other one's are refused."""
    server = http.HttpServer(answer)
    served = []

    async def ask():
        loop = asyncio.get_running_loop()
        listening = await loop.create_server(lambda: http.ServerProtocol(server), "127.0.0.1", 0)
        for _ in range(ROUNDS // 20):
            reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            with contextlib.suppress(ConnectionError):
                served.append((await reader.read())[9:12])
            repr([server.connections, server.counters, server.connection_count])
            await until_closed(writer)
        listening.close()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.unraisablehook", lambda args: None)
        for _ in range(THREADS):
            crowd.start(crowd.run, ask)
        while crowd.alive():
            gc.collect()
            time.sleep(0.01)
    assert served.count(b"200") == ROUNDS // 20 and set(served) <= {b"200", b""}


async def answer(request):
    await asyncio.sleep(0)
    return web.Response(text=request.path)


def test_listening_ended_by_others(crowd):
    async def main():
        loop = asyncio.get_running_loop()
        for round_ in range(ROUNDS // 10):
            server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
            address = server.sockets[0].getsockname()
            clients = []
            with contextlib.suppress(OSError):
                for _ in range(3):
                    clients.append(await loop.create_connection(asyncio.Protocol, *address))
            for listener in list(loop._listeners.values()) * 2:
                crowd.start(listener.stop)
            for transport, _ in clients:
                crowd.start(transport.abort if round_ % 2 else transport.close)
            await crowd.until_done()
            server.close()
            del crowd.threads[:]

    crowd.run(main)


# -- TLS -------------------------------------------------------------------------------------------


TLS_NAMES = [
    "_state", "_transport", "_app_protocol", "_sslobj", "_write_backlog", "_incoming", "_outgoing",
]  # fmt: skip


def test_tls_looked_at_while_it_is_used_and_lost(crowd, contexts):
    """The loop uses it; others only look, or cut the carrier."""
    server_context, client_context = contexts

    def look(transports):
        for transport in transports[-4:]:
            protocol = transport._ssl_protocol
            with contextlib.suppress(AttributeError):  # asyncio's code, of a carrier that is gone
                for name in TLS_NAMES:
                    getattr(protocol, name)
                transport.get_extra_info("peername"), transport.get_extra_info("cipher")
                transport.is_closing(), transport.get_protocol(), repr(transport)
                transport.get_write_buffer_size(), transport.get_write_buffer_limits()

    def cut(transports):
        for transport in transports[-4:-2]:
            carrier = getattr(transport._ssl_protocol, "_transport", None)
            if carrier is not None:
                carrier.abort()
        time.sleep(0.002)

    async def echo(reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(2000):
                writer.write(data)
                await writer.drain()
        await until_closed(writer)

    async def main():
        transports = []
        async with await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_context) as server:
            for _ in range(2):
                crowd.repeat(look, transports)
            crowd.repeat(cut, transports)
            for _ in range(ROUNDS // 10):
                with contextlib.suppress(OSError):
                    reader, writer = await asyncio.open_connection(
                        *server.sockets[0].getsockname(),
                        ssl=client_context,
                        server_hostname="localhost",
                    )
                    transports.append(writer.transport)
                    del transports[:-4]
                    writer.write(b"x" * 5000)
                    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                        await reader.readexactly(5000)
                    await until_closed(writer)
            crowd.stopping.set()

    crowd.run(main)


# -- sockets, pipes, datagrams, names --------------------------------------------------------------


def test_protocols_exchanged_by_others(crowd):
    class Both:
        """A read begun for the one may end at the other, as on asyncio."""

        def get_buffer(self, sizehint):
            return bytearray(64)

        def buffer_updated(self, nbytes):
            pass

        def data_received(self, data):
            pass

    class Buffered(Both, asyncio.BufferedProtocol):
        pass

    class Plain(Both, asyncio.Protocol):
        pass

    def exchange(transport):
        for round_ in range(ROUNDS):
            transport.set_protocol(Buffered() if round_ % 2 else Plain())
            transport.get_protocol(), transport._protocol, transport._extra

    async def main():
        loop = asyncio.get_running_loop()
        ours, peer = socket.socketpair()
        ours.setblocking(False)
        peer.setblocking(False)
        transport, _ = await loop.create_connection(Buffered, sock=ours)
        for _ in range(THREADS):
            crowd.start(exchange, transport)
        while crowd.alive():
            with contextlib.suppress(BlockingIOError):
                peer.send(b"x" * 500)
            await asyncio.sleep(0)
        peer.close()
        transport.close()

    crowd.run(main)


def test_attributes_of_a_transport_set_by_many(crowd):
    async def main():
        loop = asyncio.get_running_loop()
        ours, peer = socket.socketpair()
        ours.setblocking(False)

        def change(transport, number):
            for round_ in range(ROUNDS):
                setattr(transport, f"own_{number}_{round_ % 7}", round_)
                repr([transport._read_ready_cb, transport._sock, transport._buffer])
                transport._protocol_paused = False
                transport._high_water = 10**6
            assert getattr(transport, f"own_{number}_0") >= 0

        for _ in range(5):
            transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours.dup())
            for number in range(THREADS):
                crowd.start(change, transport, number)
            await crowd.until_done()
            transport.close()
        ours.close()
        peer.close()

    crowd.run(main)


def test_datagrams_sent_by_many(crowd):
    async def main():
        received = []

        class Sink(asyncio.DatagramProtocol):
            def datagram_received(self, data, addr):
                received.append(data)

        def send(transport, address, number):
            for round_ in range(ROUNDS):
                transport.sendto(b"%d" % number, address if round_ % 2 else (*address,))
                transport.get_extra_info("sockname"), transport._buffer, repr(transport)
            transport.sendto(b"last %d" % number, address)

        loop = asyncio.get_running_loop()
        sink, _ = await loop.create_datagram_endpoint(Sink, local_addr=("127.0.0.1", 0))
        address = sink.get_extra_info("sockname")
        source, _ = await loop.create_datagram_endpoint(Sink, local_addr=("127.0.0.1", 0))
        for number in range(THREADS):
            crowd.start(send, source, address, number)
        await crowd.until_done()
        source.sendto(b"end", address)
        while b"end" not in received:
            source.sendto(b"end", address)
            await asyncio.sleep(0.001)
        crowd.start(source.abort)
        crowd.start(sink.close)
        await crowd.until_done()

    crowd.run(main)


def test_names_looked_up_on_loops_that_close(crowd):
    def look_up():
        for round_ in range(ROUNDS // 15):
            loop = new_event_loop()
            looks = [
                loop.create_task(loop.getaddrinfo("localhost", 80 + number)) for number in range(5)
            ]
            if round_ % 3:
                found = loop.run_until_complete(asyncio.gather(*looks))
                assert all(found)
            else:
                loop.run_until_complete(asyncio.sleep(0))
                for look in looks:
                    look.cancel()
                if round_ % 2:
                    loop.run_until_complete(asyncio.gather(*looks, return_exceptions=True))
                for look in looks:
                    look._log_destroy_pending = False
            loop.close()

    for _ in range(THREADS):
        crowd.start(look_up)
    crowd.collect()
    crowd.join(THREADS)


def test_a_loop_closed_while_it_is_called(crowd):
    """What comes too late is told so."""
    told = []

    def call(loop):
        while True:
            try:
                loop.call_soon_threadsafe(int)
                loop.call_later(60, int)
                loop.metrics(), loop._ready, loop.is_closed(), loop.is_running()
            except RuntimeError as exc:
                assert str(exc) == "Event loop is closed"
                told.append(exc)
                return

    for _ in range(ROUNDS // 15):
        loop = new_event_loop()
        for _ in range(THREADS):
            crowd.start(call, loop)
        loop.call_later(0.002, loop.stop)
        loop.run_forever()
        loop.close()
    crowd.end()
    assert len(told) == THREADS * (ROUNDS // 15)
