"""The heap of timers (csrc/loop/timer.c)."""

import random

import pytest

import fastaio


@pytest.fixture
def loop():
    loop = fastaio.new_event_loop()
    loop.set_debug(False)  # also under python -X dev, which keeps a stack for each of a million
    yield loop
    loop.close()


def test_equal_times_fire_in_their_order(loop):
    seen = []
    when = loop.time()
    for number in range(500):
        loop.call_at(when, seen.append, number)
    loop.call_at(when, loop.stop)
    loop.run_forever()
    assert seen == list(range(500))


def test_random_starts_and_cancels(loop):
    """The heap against a sorted list, over thousands of random operations."""
    dice = random.Random(7)
    start = loop.time() - 1000
    seen = []
    pending = {}
    for number in range(5000):
        if pending and dice.random() < 0.4:
            victim = dice.choice(list(pending))
            pending.pop(victim)[0].cancel()
        else:
            when = start + dice.randrange(1000) * 0.001
            pending[number] = (loop.call_at(when, seen.append, number), when)
        if number % 500 == 0:
            times = [handle.when() for handle in loop._scheduled]
            assert len(times) == len(pending)
            if times:
                assert times[0] == min(times)
    expected = [number for _, number in sorted((when, n) for n, (_, when) in pending.items())]
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert seen == expected
    assert loop._scheduled == []


def test_a_million_pending(loop):
    base = loop.time() + 1000
    count = 1_000_000
    handles = [loop.call_at(base + (n * 7919) % count, int) for n in range(count)]
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert loop._scheduled[0].when() == base
    for handle in handles:
        handle.cancel()
    assert loop._scheduled == []


def test_cancelled_timer_lets_go_at_once(loop):
    class Thing:
        alive = True

        def __del__(self):
            Thing.alive = False

    thing = Thing()
    handle = loop.call_later(1000, lambda _: None, thing)
    del thing
    handle.cancel()
    assert not Thing.alive
    assert loop._scheduled == []


def test_close_with_pending_timers(loop):
    handle = loop.call_later(1000, int)
    loop.close()
    handle.cancel()
    assert handle.cancelled()


def test_nan_fires_at_once(loop):
    """As asyncio's: no comparison with it holds."""
    loop.call_at(float("nan"), loop.stop)
    loop.run_forever()


def test_failing_clock_ends_the_run(loop):
    def clock():
        raise LookupError

    loop.call_later(1000, int)
    loop.time = clock
    with pytest.raises(LookupError):
        loop.call_later(1, int)
    with pytest.raises(LookupError):
        loop.run_forever()
    del loop.time
    loop.call_soon(loop.stop)
    loop.run_forever()


@pytest.mark.parametrize("step", [0, 1e-6, 1e-3, 1])  # all of one time, ..., minutes apart
@pytest.mark.parametrize("later", [0, 20, 20_000])
def test_many_due_at_once_fire_in_order(loop, later, step):
    """Enough that they are taken out of the heap together; what is not due yet stays."""
    dice = random.Random(11)
    start = loop.time()
    seen = []
    due = [(start - 500 + dice.randrange(500) * step, number) for number in range(3000)]
    for when, number in due:
        loop.call_at(when, seen.append, number)
    waiting = [loop.call_at(start + 1000 + dice.random(), int) for _ in range(later)]
    cancelled = [loop.call_at(start - 1, seen.append, "cancelled") for _ in range(100)]
    for handle in cancelled:
        handle.cancel()
    loop.call_at(start, loop.stop)
    loop.run_forever()
    assert seen == [number for _, number in sorted(due)]
    assert sorted(h.when() for h in loop._scheduled) == sorted(h.when() for h in waiting)
    if waiting:
        assert loop._scheduled[0].when() == min(h.when() for h in waiting)
    for handle in waiting:
        handle.cancel()
    assert loop._scheduled == []


def test_a_timer_among_many_can_cancel_those_behind_it(loop):
    start = loop.time() - 1
    seen = []
    handles = []

    def first():
        seen.append("first")
        for handle in handles:
            handle.cancel()

    loop.call_at(start, first)
    handles += [loop.call_at(start + 0.1, seen.append, number) for number in range(500)]
    loop.call_soon(loop.call_soon, loop.call_soon, loop.stop)
    loop.run_forever()
    assert seen == ["first"]
