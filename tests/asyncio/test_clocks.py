"""Loops that a test has given another clock or another wait: ``loop._selector.select()`` replaced,
as looptime and aiotools do it, ``time.monotonic()`` replaced, as freezegun does it.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import selectors
import signal
import socket
import threading
import time
from unittest import mock

import pytest

import fastaio
from fastaio import http


class Clock:
    """Time passes when the loop would wait for it."""

    def __init__(self, loop):
        self.now = 0.0
        self.timeouts = []
        self.before_no_end = int
        self.patches = [
            mock.patch.object(
                loop._selector, "select", functools.partial(self.select, loop._selector.select)
            ),
            mock.patch.object(loop, "_clock_resolution", 0.001),
            mock.patch.object(loop, "time", lambda: self.now),
        ]

    def select(self, original, timeout):
        self.timeouts.append(timeout)
        if timeout is None:
            self.before_no_end()
        elif timeout:
            self.now += timeout
        return original(None if timeout is None else 0)

    def __enter__(self):
        for patch in self.patches:
            patch.start()
        return self

    def __exit__(self, *exc):
        for patch in reversed(self.patches):
            patch.stop()


async def waits(delay):
    await asyncio.sleep(delay)
    return asyncio.get_running_loop().time()


def test_time_passes_at_once(run):
    async def main():
        loop = asyncio.get_running_loop()
        begun = time.monotonic()
        with Clock(loop) as clock:
            assert await waits(3600.1) == 3600.1
            assert await asyncio.gather(waits(20), waits(10)) == [3620.1, 3610.1]
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(5):
                    await asyncio.sleep(100)
        assert time.monotonic() - begun < 10
        # the real clock again
        assert abs(loop.time() - time.monotonic()) < 1
        before = len(clock.timeouts)
        await asyncio.sleep(0.001)
        assert len(clock.timeouts) == before

    run(main())


def test_timeouts_are_those_of_asyncio(loop):
    with Clock(loop) as clock:
        loop.call_later(2.5, loop.call_soon, loop.stop)
        loop.call_soon(int)
        loop.run_forever()
        assert clock.timeouts == [0, 2.5, 0]
        clock.timeouts.clear()
        loop.call_later(7 * 86400, loop.stop)
        loop.call_later(-1, int)
        loop.run_forever()
        assert clock.timeouts[:3] == [0, 86400, 86400]
        clock.timeouts.clear()
        other = threading.Thread(target=loop.call_soon_threadsafe, args=[loop.stop])
        clock.before_no_end = other.start
        loop.run_forever()
        other.join()
        assert clock.timeouts[0] is None
        assert 0 < len(clock.timeouts) <= 3


def test_files_are_served_meanwhile(run):
    async def serve(reader, writer):
        writer.write(await reader.readline())
        await asyncio.sleep(50)
        writer.write(b"late\n")
        writer.close()

    async def main():
        loop = asyncio.get_running_loop()
        # Time does not pass while something is on its way.
        original = loop._selector.select

        def select(timeout):
            found = original(0.05 if timeout else timeout)
            if timeout and not found:
                now[0] += timeout
            return found

        now = [5.0]
        with (
            mock.patch.object(loop._selector, "select", select),
            mock.patch.object(loop, "time", lambda: now[0]),
        ):
            server = await asyncio.start_server(serve, "127.0.0.1", 0)
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"early\n")
            assert await reader.readline() == b"early\n"
            assert loop.time() == 5
            assert await reader.read() == b"late\n"
            assert loop.time() == 55
            writer.close()
            await writer.wait_closed()
            server.close()
            assert await loop.run_in_executor(None, int) == 0

    run(main())


def test_what_select_returns_is_what_happens(loop, pair):
    """Files that the program keeps back wait; those that it makes up are served."""
    seen = []
    ours, theirs = pair
    loop.add_reader(ours, lambda: seen.append(ours.recv(9)))
    loop.add_writer(theirs, seen.append, "writable")
    theirs.send(b"x")
    original = loop._selector.select
    found = []

    def keep_back(timeout):
        found.extend(original(0))
        return []

    with mock.patch.object(loop._selector, "select", keep_back):
        loop.call_soon(loop.call_soon, loop.stop)
        loop.run_forever()
    assert seen == []
    assert {(key.fileobj, key.fd, mask) for key, mask in found} == {
        (ours, ours.fileno(), selectors.EVENT_READ),
        (theirs, theirs.fileno(), selectors.EVENT_WRITE),
    }
    key = next(key for key, _ in found if key.fileobj is theirs)
    with mock.patch.object(loop._selector, "select", lambda timeout: [(key, key.events)]):
        loop.call_soon(loop.stop)
        loop.run_forever()
    assert seen == ["writable"]
    loop.remove_writer(theirs)
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert seen == ["writable", b"x"]
    loop.remove_reader(ours)


def test_select_called_by_the_program(loop, pair):
    ours, theirs = pair
    loop.add_reader(ours, print)
    assert loop._selector.select(0) == []
    begun = time.monotonic()
    assert loop._selector.select(0.02) == []
    assert time.monotonic() - begun >= 0.02
    theirs.send(b"x")
    [(key, mask)] = loop._selector.select(timeout=None)
    assert (key.fileobj, mask) == (ours, selectors.EVENT_READ)
    loop.remove_reader(ours)
    with pytest.raises(TypeError):
        loop._selector.select("soon")


def test_a_signal_does_not_end_select(loop, pair):
    ours, theirs = pair
    loop.add_reader(ours, print)
    seen = []
    before = signal.signal(signal.SIGALRM, lambda *_: seen.append(1))
    try:
        for timeout in (0.05, None):
            signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
            sender = threading.Timer(0.03, theirs.send, [b"x"])
            if timeout is None:
                sender.start()
            begun = time.monotonic()
            found = loop._selector.select(timeout)
            took = time.monotonic() - begun
            signal.setitimer(signal.ITIMER_REAL, 0)
            assert len(found) == (timeout is None)
            assert timeout is None or took >= timeout
            if timeout is None:
                sender.join()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert len(seen) > 2
    loop.remove_reader(ours)


def test_a_signal_handler_raises_out_of_select(loop):
    def fail(*_):
        raise ZeroDivisionError

    before = signal.signal(signal.SIGALRM, fail)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.005)
        with pytest.raises(ZeroDivisionError):
            loop._selector.select(10)
    finally:
        signal.signal(signal.SIGALRM, before)


def test_nobody_closes_or_runs_a_loop_under_select():
    loop = fastaio.new_event_loop()  # asyncio's lets them, and fails in epoll
    errors = []

    def disturb():
        for method in (loop.close, loop.run_forever, loop._run_once, loop._selector.select):
            with pytest.raises(RuntimeError) as caught:
                method()
            errors.append(str(caught.value))
        loop.call_soon_threadsafe(int)

    def hear(*_):
        other = threading.Thread(target=disturb)
        other.start()
        while other.is_alive():
            time.sleep(0.001)
        loop.close()

    before = signal.signal(signal.SIGALRM, hear)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.005)
        with pytest.raises(RuntimeError, match="Cannot close a running event loop"):
            loop._selector.select(10)
        thread = threading.Thread(target=disturb)
        loop.call_soon(thread.start)
        loop.call_soon(loop.stop)
        loop.run_forever()
        found = loop._selector.select(10)
        thread.join()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert found == [] or found[0][0].fd < 0
    assert set(errors) <= {
        "Cannot close a running event loop",
        "This event loop is already running",
    }
    assert len(errors) == 8
    loop.close()


def test_a_clock_that_cancels_the_only_timer(loop):
    timeouts = []

    def select(timeout):
        timeouts.append(timeout)
        loop.stop()
        return []

    def tell():
        if not handle.cancelled():
            handle.cancel()
            loop.call_soon(loop.stop)
        return 10.0

    handle = loop.call_at(15, int)
    with (
        mock.patch.object(loop, "time", tell),
        mock.patch.object(loop._selector, "select", select),
    ):
        loop.run_forever()
    assert timeouts[0] == 5


def test_another_thread_ends_a_select_that_was_replaced(loop):
    """By all that ends a wait: not only by callbacks."""
    original = loop._selector.select
    others = []

    def end():
        loop.stop()
        loop._write_to_self()

    def select(timeout):
        if timeout is None:
            others.append(threading.Timer(0.01, end))
            others[-1].start()
        return original(timeout)

    with mock.patch.object(loop._selector, "select", select):
        loop.run_forever()
    for other in others:
        other.join()
    assert others


def test_another_thread_ends_a_select_before_it_waits(loop):
    original = loop._selector.select
    ended = []

    def end():
        loop.stop()
        loop._write_to_self()

    def select(timeout):
        if timeout is None and not ended:
            other = threading.Thread(target=end)
            other.start()
            other.join()
            ended.append(other)
        return original(timeout)

    with mock.patch.object(loop._selector, "select", select):
        loop.run_forever()
    assert ended


def test_what_select_raises_ends_the_run(loop):
    with mock.patch.object(loop._selector, "select", side_effect=OSError("gone")):
        with pytest.raises(OSError, match="gone"):
            loop.run_until_complete(asyncio.sleep(0))
    loop.run_until_complete(asyncio.gather(*asyncio.all_tasks(loop)))


def test_a_signal_ends_a_wait_of_the_programs_own(loop):
    class HeardError(Exception):
        pass

    def hear(signum, frame):
        raise HeardError

    original = loop._selector.select
    before = signal.signal(signal.SIGALRM, hear)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        with mock.patch.object(loop._selector, "select", lambda timeout: original(20)):
            with pytest.raises(HeardError):
                loop.run_forever()
    finally:
        signal.signal(signal.SIGALRM, before)


def test_another_selector_takes_its_place(loop):
    class Counting:
        def __init__(self, selector):
            self.selector = selector
            self.waits = 0

        def select(self, timeout):
            self.waits += 1
            return self.selector.select(timeout)

        def __getattr__(self, name):
            return getattr(self.selector, name)

    selector = loop._selector
    loop._selector = counting = Counting(selector)
    loop.run_until_complete(asyncio.sleep(0.001))
    assert counting.waits >= 2
    loop._selector = selector
    waits = counting.waits
    loop.run_until_complete(asyncio.sleep(0.001))
    assert counting.waits == waits


def test_select_of_the_class_replaced(loop):
    kind = type(loop._selector)
    waits = []
    original = kind.select

    def select(self, timeout=None):
        waits.append(timeout)
        return original(self, timeout)

    with mock.patch.object(kind, "select", select):
        loop.run_until_complete(asyncio.sleep(0.001))
    assert len(waits) >= 2


def test_the_class_of_a_loop_replaced_while_it_runs(run):
    async def main():
        loop = asyncio.get_running_loop()
        kind = type(loop)

        class Later(kind):
            def time(self):
                return super().time() + 1000

        fired = loop.create_future()
        loop.call_later(600, fired.set_result, None)
        loop.__class__ = Later
        await asyncio.wait_for(fired, None)
        loop.__class__ = kind
        assert abs(loop.time() - time.monotonic()) < 1

    run(main())


def test_process_events_is_a_method(loop):
    calls = []
    original = loop._process_events

    def process(events):
        calls.append(events)
        original(events)

    select = loop._selector.select
    with (
        mock.patch.object(loop, "_process_events", process),
        mock.patch.object(loop._selector, "select", lambda timeout: select(timeout)),
    ):
        loop.run_until_complete(asyncio.sleep(0.001))
    assert len(calls) >= 2


def test_the_map_of_what_is_watched(loop, pair):
    ours, theirs = pair
    loop.add_reader(ours, print)
    keys = loop._selector.get_map()
    assert ours in keys and ours.fileno() in keys and theirs not in keys
    key = keys[ours]
    assert key == loop._selector.get_key(ours) == keys[ours.fileno()]
    assert (key.fileobj, key.fd, key.events) == (ours, ours.fileno(), selectors.EVENT_READ)
    reader, writer = key.data
    assert isinstance(reader, asyncio.Handle) and writer is None
    with pytest.raises(KeyError):
        keys[theirs]
    assert isinstance(loop._selector, selectors.BaseSelector)
    loop.remove_reader(ours)
    assert ours not in loop._selector.get_map()
    with pytest.raises(KeyError):
        loop._selector.get_key(ours)


def test_select_by_another_thread_is_refused():
    """asyncio's takes what it finds away from the loop."""

    async def main():
        selector = asyncio.get_running_loop()._selector
        with pytest.raises(RuntimeError):
            await asyncio.to_thread(selector.select, 0)

    fastaio.run(main())
    loop = fastaio.new_event_loop()
    loop.close()
    with pytest.raises(RuntimeError):
        loop._selector.select(0)
    with pytest.raises(RuntimeError):
        loop._selector.register(0, selectors.EVENT_READ)


def test_monotonic_replaced_for_a_while(run):
    """freezegun's freeze_time() and tick(), and mock.patch(), inside of a coroutine."""

    async def main():
        loop = asyncio.get_running_loop()
        fired = []
        before = loop.call_later(500, fired.append, "before")
        now = [1000.0 + loop.time()]
        with mock.patch("time.monotonic", lambda: now[0]):
            assert loop.time() == now[0]
            timer = loop.call_later(30, fired.append, "after")
            assert timer.when() == now[0] + 30
            while not fired:
                await asyncio.sleep(0)
            assert fired == ["before"] and before.when() < now[0]
            now[0] += 31
            while len(fired) < 2:
                await asyncio.sleep(0)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(5):
                    loop.call_soon(now.__setitem__, 0, now[0] + 6)
                    await loop.create_future()
        assert abs(loop.time() - time.monotonic()) < 1
        begun = loop.time()
        await asyncio.sleep(0.01)
        assert 0.01 <= loop.time() - begun < 5

    run(main())


def test_the_module_replaced_that_asyncio_asks(run):
    """asyncio.base_events.time is another object for a while."""

    class Clock:
        now = 5000.0

        def __getattr__(self, name):
            return getattr(time, name)

        def monotonic(self):
            return self.now

    async def main():
        loop = asyncio.get_running_loop()
        clock = Clock()
        seen = []
        with mock.patch("asyncio.base_events.time", clock):
            assert loop.time() == 5000.0
            handle = loop.call_later(60, seen.append, "fired")
            assert handle.when() == 5060.0
            await asyncio.sleep(0)
            assert seen == []
            clock.now += 61
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert seen == ["fired"]
        assert abs(loop.time() - time.monotonic()) < 1

    run(main())


def test_monotonic_replaced_before_a_run(loop):
    original = time.monotonic
    with mock.patch("time.monotonic", lambda: original() + 1000):
        assert loop.time() > original() + 900
        assert loop.run_until_complete(waits(0.001)) > original() + 900
    with mock.patch("time.monotonic", time.perf_counter):
        assert abs(loop.time() - time.perf_counter()) < 1
    with mock.patch("time.monotonic", side_effect=OSError("no clock")):
        with pytest.raises(OSError, match="no clock"):
            loop.time()
        with pytest.raises(OSError, match="no clock"):
            loop.call_later(1, print)
    assert loop.run_until_complete(waits(0.001)) < original() + 900


def test_other_names_of_the_time_module_do_not_matter(run):
    async def main():
        loop = asyncio.get_running_loop()
        with mock.patch("time.time", return_value=0), mock.patch("time.sleep"):
            assert abs(loop.time() - time.monotonic()) < 1
            await asyncio.sleep(0.001)

    run(main())


def test_a_clock_that_fails_ends_the_run(loop):
    original = time.monotonic
    calls = []

    def fails():
        calls.append(None)
        if len(calls) > 1:
            raise OSError("no clock")
        return original()

    with mock.patch("time.monotonic", fails):
        timer = loop.call_later(0.001, print)
        with pytest.raises(OSError, match="no clock"):
            loop.run_forever()
    timer.cancel()


def test_a_subclass_that_delegates_attributes(loop_factory):
    class Delegates(type(loop_factory())):
        def __init__(self):
            super().__init__()
            self.other = 5

        def __getattr__(self, name):
            if name == "other_bits":
                return self.other.bit_length()
            raise AttributeError(name) from getattr(self.other, name, None)

    loop = Delegates()
    assert loop.other_bits == 3
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()


@pytest.mark.parametrize("how", ["object", "deleted"])
def test_no_selector(loop, how):
    selector = loop._selector
    if how == "object":
        loop._selector = object()
    else:
        del loop._selector
    loop.call_soon(loop.stop)
    with pytest.raises(AttributeError):
        loop.run_forever()
    loop._selector = selector
    loop.run_forever()


class AtCollection:
    """In a cycle: its end comes with the garbage collector."""

    def __init__(self, end):
        self.me = self
        self.end = end

    def __del__(self):
        self.end()


def test_the_collector_comes_while_watches_are_looked_at(loop):
    pairs = [socket.socketpair() for _ in range(20)]
    thresholds = gc.get_threshold()
    try:
        for ours, _ in pairs:
            loop.add_reader(ours, int, ours)
        for ours, _ in pairs:
            AtCollection(functools.partial(loop.remove_reader, ours))
            gc.set_threshold(1, 1, 1)
            for _, key in list(loop._selector.get_map().items()):
                assert key.data is None or len(key.data) == 2
            gc.set_threshold(*thresholds)
    finally:
        gc.set_threshold(*thresholds)
        for ours, theirs in pairs:
            loop.remove_reader(ours)
            ours.close()
            theirs.close()


@pytest.mark.parametrize("what", ["loop.time", "time.monotonic"])
def test_servers_do_not_starve_timers_under_another_clock(what):
    """Their own timers go by the kernel's clock, whatever that is to the program's."""
    loop = fastaio.new_event_loop()

    async def main():
        async def answer(request):
            return http.Response(text="x")

        server = http.HttpServer(answer, loop=loop)
        listening = await loop.create_server(server, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        real = time.monotonic
        for ahead in (1e9, -1e9):
            clock = functools.partial(lambda ahead: real() + ahead, ahead)
            target = (
                mock.patch.object(loop, "time", clock)
                if what == "loop.time"
                else mock.patch("time.monotonic", clock)
            )
            with target:
                fired = loop.create_future()
                loop.call_later(0.01, fired.set_result, None)
                turns = loop.metrics().turns
                await fired
                assert loop.metrics().turns - turns < 100
        listening.close()
        await server.shutdown(timeout=5.0)
        writer.close()
        await writer.wait_closed()

    loop.run_until_complete(main())
    loop.close()


def test_close_is_refused_before_anything_is_dropped():
    loop = fastaio.new_event_loop()
    loop.add_signal_handler(signal.SIGUSR1, int)
    errors = []

    def hear(*_):
        try:
            loop.close()
        except RuntimeError as error:
            errors.append(str(error))

    before = signal.signal(signal.SIGALRM, hear)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.005)
        loop._selector.select(0.05)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert errors == ["Cannot close a running event loop"]
    assert loop.remove_signal_handler(signal.SIGUSR1)
    loop.close()


def test_the_class_keeps_the_real_time(run):
    """As freezegun has it with real_asyncio: the loop's class asks the real clock."""

    async def main():
        loop = asyncio.get_running_loop()
        real = time.monotonic
        kept = mock.patch.object(asyncio.SelectorEventLoop, "time", lambda _: real())
        with kept, mock.patch.object(time, "monotonic", lambda: 7.0):
            assert loop.time() > 7.0
            await asyncio.sleep(0.001)

    run(main())
