"""call_soon_threadsafe(): the one way into a loop from another thread."""

import asyncio
import gc
import socket
import sys
import threading
import warnings

import pytest


def test_wakes_a_waiting_loop(loop):
    thread = threading.Timer(0.01, lambda: loop.call_soon_threadsafe(loop.stop))
    thread.start()
    loop.run_forever()
    thread.join()


def test_wakes_a_loop_that_waits_for_a_timer(loop):
    handle = loop.call_later(3600, print)
    thread = threading.Timer(0.01, lambda: loop.call_soon_threadsafe(loop.stop))
    thread.start()
    loop.run_forever()
    thread.join()
    handle.cancel()


def test_many_threads(loop):
    count, each = 8, 500
    seen = []
    done = []

    def work(number):
        for step in range(each):
            loop.call_soon_threadsafe(seen.append, (number, step))
        loop.call_soon_threadsafe(finish)

    def finish():
        done.append(1)
        if len(done) == count:
            loop.stop()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    loop.run_forever()
    for thread in threads:
        thread.join()
    assert len(seen) == count * each
    for number in range(count):
        steps = [step for who, step in seen if who == number]
        assert steps == list(range(each))


def test_closing_while_others_call(loop):
    started = threading.Event()
    ended = []

    def work():
        try:
            while True:
                loop.call_soon_threadsafe(int)
                started.set()
        except RuntimeError as exc:
            ended.append(str(exc))

    thread = threading.Thread(target=work)
    thread.start()
    started.wait()
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    thread.join()
    assert ended == ["Event loop is closed"]


def test_handle_is_a_handle(loop):
    loop.set_debug(False)
    handle = loop.call_soon_threadsafe(print, 3)
    assert isinstance(handle, asyncio.Handle)
    # From 3.13 on arguments are shown in debug mode only.
    call = "print(3)" if sys.version_info < (3, 13) else "print()"
    name = "Handle" if sys.version_info < (3, 14) else "_ThreadSafeHandle"
    assert repr(handle) == f"<{name} {call}>"
    handle.cancel()
    loop.call_soon(loop.stop)
    loop.run_forever()


def test_cancel_by_another_thread(loop):
    ran = []
    handle = loop.call_soon_threadsafe(ran.append, 1)
    thread = threading.Thread(target=handle.cancel)
    thread.start()
    thread.join()
    assert handle.cancelled()
    handle.cancel()
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert ran == []


@pytest.mark.skipif(sys.version_info < (3, 14), reason="before 3.14 cancel() does not wait")
@pytest.mark.parametrize("method", ["cancel", "cancelled"])
def test_other_thread_waits_for_a_callback_that_runs(loop, method):
    began, may_end = threading.Event(), threading.Event()
    ended = []
    seen = []

    def callback():
        assert not handle.cancelled()
        began.set()
        assert not may_end.wait(0.05), "the other thread did not wait"
        ended.append(1)

    def work():
        began.wait()
        seen.append(getattr(handle, method)())
        may_end.set()
        seen.append(len(ended))
        loop.call_soon_threadsafe(loop.stop)

    thread = threading.Thread(target=work)
    handle = loop.call_soon_threadsafe(callback)
    thread.start()
    loop.run_forever()
    thread.join()
    assert seen == [None if method == "cancel" else False, 1]
    assert handle.cancelled() == (method == "cancel")


@pytest.mark.parametrize("debug", [False, True])
def test_callback_cancels_its_own_handle(loop, debug):
    loop.set_debug(debug)
    cancelled = []

    def callback():
        handle.cancel()
        cancelled.append(handle.cancelled())
        loop.stop()

    handle = loop.call_soon_threadsafe(callback)
    loop.run_forever()
    assert cancelled == [True]


def test_cancelling_while_the_loop_runs(loop):
    count = 2000
    ran = []
    handles = []
    more = threading.Event()

    def work():
        more.wait()
        for number, handle in enumerate(handles):
            if number % 2:
                handle.cancel()
        loop.call_soon_threadsafe(loop.stop)

    thread = threading.Thread(target=work)
    thread.start()
    handles.extend(loop.call_soon_threadsafe(ran.append, number) for number in range(count))
    more.set()
    loop.run_forever()
    thread.join()
    assert [number for number in ran if number % 2 == 0] == list(range(0, count, 2))
    assert len(set(ran)) == len(ran)


def test_other_thread_is_refused_in_debug_mode(loop):
    loop.set_debug(True)
    errors = []

    def work():
        for call in (loop.call_soon, lambda callback: loop.call_later(1, callback)):
            try:
                call(print)
            except RuntimeError as exc:
                errors.append(str(exc))
        loop.call_soon_threadsafe(loop.stop)

    thread = threading.Thread(target=work)
    loop.call_soon(thread.start)
    loop.run_forever()
    thread.join()
    assert len(errors) == 2
    assert all("Non-thread-safe operation" in error for error in errors)


def test_run_coroutine_threadsafe(loop):
    async def value():
        await asyncio.sleep(0)
        return 7

    results = []

    def work():
        results.append(asyncio.run_coroutine_threadsafe(value(), loop).result())
        loop.call_soon_threadsafe(loop.stop)

    thread = threading.Thread(target=work)
    thread.start()
    loop.run_forever()
    thread.join()
    assert results == [7]


class Ring:
    """Loops in a circle, each in a thread of its own, each serving and handing a token on."""

    def __init__(self, loop_factory, size, rounds):
        self.loops = [loop_factory() for _ in range(size)]
        self.tokens = [asyncio.Queue() for _ in self.loops]
        self.rounds = rounds
        self.failures = []

    async def place(self, number):
        connections = []

        async def echo(reader, writer):
            connections.append(asyncio.current_task())
            while data := await reader.read(4096):
                writer.write(data)
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        following = (number + 1) % len(self.loops)
        for turn in range(self.rounds):
            if number or turn:
                assert await self.tokens[number].get() == turn - (number == 0)
            writer.write(b"%d" % turn)
            assert int(await reader.read(100)) == turn
            self.loops[following].call_soon_threadsafe(self.tokens[following].put_nowait, turn)
        if number == 0:
            await self.tokens[number].get()
        writer.close()
        await writer.wait_closed()
        server.close()
        await asyncio.gather(*connections)
        await server.wait_closed()

    def work(self, number):
        try:
            self.loops[number].run_until_complete(self.place(number))
        except BaseException as exc:
            self.failures.append(exc)

    def run(self):
        threads = [threading.Thread(target=self.work, args=(n,)) for n in range(len(self.loops))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert self.failures == []


@pytest.mark.parametrize("size", [2, 16])
def test_a_loop_in_each_of_many_threads(loop_factory, size):
    Ring(loop_factory, size, 25).run()


def test_loops_come_and_go_in_many_threads(run):
    failures = []

    async def main():
        loop = asyncio.get_running_loop()
        await asyncio.to_thread(loop.call_soon_threadsafe, int)
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=ours)
        theirs.send(b"x")
        assert await reader.read(1) == b"x"
        theirs.close()
        writer.close()
        await writer.wait_closed()

    def work():
        try:
            for _ in range(10):
                run(main())
        except BaseException as exc:
            failures.append(exc)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.mark.parametrize("count", [1, 50])
def test_to_thread(run, count):
    async def main():
        return await asyncio.gather(*[asyncio.to_thread(lambda n=n: n) for n in range(count)])

    assert run(main()) == list(range(count))


def test_what_another_thread_asks_of_a_transport_is_done(loop):
    """It should not, but the loop does not wait for something else to happen first."""
    ours, theirs = socket.socketpair()

    class Received(asyncio.Protocol):
        def __init__(self):
            self.data = loop.create_future()

        def data_received(self, data):
            self.data.set_result(data)

    async def main():
        transport, protocol = await loop.create_connection(Received, sock=ours)
        transport.pause_reading()

        def use():
            # The first may come before the loop waits, but not all of them.
            for _ in range(100):
                transport.write(b"from the thread")
                assert theirs.recv(100) == b"from the thread"
            theirs.send(b"answer")
            transport.resume_reading()

        used = asyncio.create_task(asyncio.to_thread(use))
        assert await protocol.data == b"answer"
        await used
        transport.close()

    with theirs:
        theirs.settimeout(10)
        loop.run_until_complete(main())


@pytest.mark.parametrize("method", ["close", "abort"])
@pytest.mark.parametrize("tls", [True, False], ids=["tls", "tcp"])
def test_ends_refused_in_another_thread(run, server_context, client_context, tls, method):
    """In debug mode, by what ends a connection: call_soon() and call_later()."""

    async def main():
        loop = asyncio.get_running_loop()
        server_tls = {"ssl": server_context} if tls else {}
        client_tls = {"ssl": client_context, "server_hostname": "localhost"} if tls else {}
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0, **server_tls)
        transport, _ = await loop.create_connection(
            asyncio.Protocol, *server.sockets[0].getsockname(), **client_tls
        )
        refused = []

        def end(transport):
            try:
                getattr(transport, method)()
            except RuntimeError as error:
                refused.append(str(error))

        thread = threading.Thread(target=end, args=(transport,))
        thread.start()
        thread.join()
        assert len(refused) == 1
        assert refused[0].startswith("Non-thread-safe operation invoked")
        server.close()
        transport.abort()  # asyncio's can do nothing any more
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            del transport
            gc.collect()

    run(main(), debug=True)
