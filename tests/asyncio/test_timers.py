"""call_later(), call_at() and the TimerHandle they return."""

import asyncio
import fractions
import math
import random
import sys
import time

import pytest


def run_until(loop, when):
    loop.call_at(when, loop.stop)
    loop.run_forever()


def test_order_is_that_of_the_times(loop):
    now = loop.time()
    times = [now + number * 1e-6 for number in range(300)]
    shuffled = random.Random(1).sample(times, len(times))
    seen = []
    for when in shuffled:
        loop.call_at(when, seen.append, when)
    run_until(loop, now + 0.001)
    assert seen == times


def test_not_before_its_time(loop):
    seen = []
    for delay in (0.003, 0.001, 0.0005, 0.02):
        when = loop.time() + delay
        loop.call_at(when, lambda when=when: seen.append(loop.time() - when))
    run_until(loop, loop.time() + 0.03)
    assert len(seen) == 4
    assert min(seen) > -1e-8


def test_due_timers_queue_behind_what_is_ready(loop):
    seen = []
    loop.call_later(-1, seen.append, "timer")
    loop.call_soon(seen.append, "ready")
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert seen == ["ready", "timer"]


def test_cancelled_by_an_earlier_timer(loop):
    seen = []
    now = loop.time()
    handles = []
    loop.call_at(now - 2, lambda: handles[0].cancel())
    handles.append(loop.call_at(now - 1, seen.append, 1))
    run_until(loop, now)
    assert seen == []


def test_zero_delay_has_a_time(loop):
    before = loop.time()
    handle = loop.call_later(0, print)
    assert isinstance(handle, asyncio.TimerHandle)
    assert isinstance(handle, asyncio.Handle)
    assert before <= handle.when() <= loop.time()
    handle.cancel()


@pytest.mark.parametrize("when", [12345, 12345.5, fractions.Fraction(12345, 7), True])
def test_when_is_what_was_given(loop, when):
    handle = loop.call_at(when, print)
    assert handle.when() == when
    assert type(handle.when()) is type(when)
    assert hash(handle) == hash(when)
    handle.cancel()


def test_repr(loop):
    loop.set_debug(False)
    handle = loop.call_at(10**9, print, 1, 2)
    # From 3.13 on arguments are shown in debug mode only.
    call = "print(1, 2)" if sys.version_info < (3, 13) else "print()"
    assert repr(handle) == f"<TimerHandle when=1000000000 {call}>"
    handle.cancel()
    assert repr(handle) == "<TimerHandle cancelled when=1000000000>"


def test_comparisons(loop):
    one = loop.call_at(10**9, print)
    same = loop.call_at(10**9, print)
    later = loop.call_at(10**9 + 1, print)
    assert one == same
    assert not one != same
    assert one != later
    assert one < later
    assert one <= same
    assert later > one
    assert later >= one
    assert not one < same
    assert (one == 3) is False
    with pytest.raises(TypeError):
        assert one < 3
    for handle in (one, same, later):
        handle.cancel()


def test_scheduled(loop):
    handle = loop.call_later(1000, print)
    assert handle._scheduled is True
    assert handle in loop._scheduled
    handle.cancel()
    handle.cancel()
    assert handle.cancelled()


@pytest.mark.parametrize("method", ["call_later", "call_at"])
def test_bad_times(loop, method):
    call = getattr(loop, method)
    with pytest.raises(TypeError, match="None"):
        call(None, print)
    with pytest.raises(TypeError):
        call("soon", print)
        loop.run_forever()
    with pytest.raises(TypeError, match="missing"):
        call(1)


def test_infinity_never_fires(loop):
    handle = loop.call_later(math.inf, print)
    assert handle.when() == math.inf
    run_until(loop, loop.time() + 0.002)
    handle.cancel()


def test_timer_started_by_a_timer(loop):
    seen = []

    def first():
        seen.append("first")
        loop.call_at(0, seen.append, "second")
        loop.call_soon(loop.stop)

    loop.call_at(0, first)
    loop.run_forever()
    # In the turn after, behind what was ready before it.
    assert seen == ["first", "second"]


def test_time_is_the_monotonic_clock(loop):
    before = time.monotonic()
    now = loop.time()
    assert before <= now <= time.monotonic()

    async def main():
        start = loop.time()
        while time.monotonic() < start + 0.002:
            pass
        assert loop.time() >= start + 0.002

    loop.run_until_complete(main())


def test_clock_set_on_the_instance(loop):
    now = 5000.0

    def clock():
        return now

    loop.time = clock
    handle = loop.call_later(10, loop.stop)
    assert handle.when() == 5010.0

    def advance():
        nonlocal now
        now += 10

    loop.call_soon(advance)
    loop.run_forever()
    del loop.time
    assert abs(loop.time() - time.monotonic()) < 5


def test_clock_of_a_subclass(loop_factory):
    stock = type(loop_factory())

    class Loop(stock):
        now = 0.0

        def time(self):
            self.now += 1000.0  # each look: whatever was asked for is due
            return self.now

    loop = Loop()
    try:
        loop.call_later(100, loop.stop)
        loop.run_forever()
        assert loop.now > 100
    finally:
        loop.close()


def test_sleep_lasts_at_least_as_long(run):
    async def main():
        loop = asyncio.get_running_loop()
        for delay in (0.001, 0.0123, 0.005):
            before = loop.time()
            await asyncio.sleep(delay)
            assert loop.time() - before >= delay

    run(main())


def test_a_microsecond_is_not_a_millisecond(run):
    """What is due before the loop could wait for it is not waited for."""

    async def main():
        best = 1.0
        for _ in range(10):
            start = time.perf_counter()
            for _ in range(20):
                await asyncio.sleep(1e-6)
            best = min(best, time.perf_counter() - start)
        assert best < 0.01

    run(main())
