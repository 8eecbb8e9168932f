"""``loop._ready``, ``loop._scheduled`` and the loop's other private names, as programs set them."""

import asyncio
import collections
import signal
from asyncio import base_events, selector_events, unix_events

import pytest

CLASSES = (
    base_events.BaseEventLoop,
    selector_events.BaseSelectorEventLoop,
    unix_events._UnixSelectorEventLoop,
)


def turn(loop):
    loop.call_soon(loop.stop)
    loop.run_forever()


def test_all_of_a_loop_can_be_set(loop, assigned):
    values = {"_closed": True, "_debug": True, "_stopping": True, "_thread_id": 1}
    for name in assigned(*CLASSES):
        before = getattr(loop, name)
        value = values.get(name, object())
        if name in ("_ready", "_scheduled"):
            value = type(before)() if isinstance(before, list | collections.deque) else []
        if name == "_selector":
            value = before
        setattr(loop, name, value)
        assert getattr(loop, name) == value, name
        setattr(loop, name, before)
        assert getattr(loop, name) == before, name
    assert not loop.is_closed()
    turn(loop)


def test_closed_by_name(loop):
    """Nothing is let go of: it can be open again."""
    seen = []
    loop.call_soon(seen.append, 1)
    loop._closed = True
    assert loop.is_closed()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.call_soon(print)
    loop.close()  # has been
    loop._closed = False
    turn(loop)
    assert seen == [1]


def test_ready_is_a_queue(loop):
    seen = []
    first, second, third = (loop.call_soon(seen.append, number) for number in (1, 2, 3))
    ready = loop._ready
    assert (len(ready), list(ready), ready[0], ready[-1]) == (
        3,
        [first, second, third],
        first,
        third,
    )
    assert second in ready and ready.index(second) == 1 and bool(ready)
    assert ready.popleft() is first
    assert ready.pop() is third
    ready.appendleft(third)
    ready.append(first)
    assert list(loop._ready) == [third, second, first]
    ready.remove(second)
    ready.rotate(1)
    ready.extend([second])
    assert [*reversed(ready)] == [second, third, first]
    ready[0] = third
    del ready[1]
    turn(loop)
    assert seen == [3, 2]
    assert len(ready) == 0
    with pytest.raises(IndexError):
        ready.popleft()
    loop.call_soon(seen.append, 4)
    loop._ready.clear()
    loop.call_soon(seen.append, 5)
    loop._ready = collections.deque([loop.call_soon(seen.append, 6)])
    turn(loop)
    assert seen == [3, 2, 6]


def test_ready_changed_in_a_turn(loop):
    seen = []

    def change():
        third = loop._ready[2]
        del loop._ready[2]
        loop._ready.appendleft(third)

    loop.call_soon(change)
    for number in (1, 2, 3):
        loop.call_soon(seen.append, number)
    turn(loop)
    turn(loop)
    assert seen == [3, 1, 2]


def test_handles_that_the_program_made(loop):
    seen = []
    loop._ready.append(asyncio.Handle(seen.append, (1,), loop))
    loop._add_callback(asyncio.Handle(seen.append, (2,), loop))
    cancelled = asyncio.Handle(seen.append, (3,), loop)
    loop._ready.append(cancelled)
    cancelled.cancel()
    loop._add_callback(loop.call_later(1000, seen.append, 4))
    turn(loop)
    assert seen == [1, 2, 4]


def test_scheduled_is_a_list(loop):
    seen = []
    timers = [loop.call_later(number / 1000, seen.append, number) for number in (1, 2, 3)]
    scheduled = loop._scheduled
    assert len(scheduled) == 3
    assert set(scheduled) == set(timers)
    assert scheduled[0] is timers[0]
    scheduled.remove(timers[1])
    loop.run_until_complete(asyncio.sleep(0.01))
    assert seen == [1, 3]
    assert len(scheduled) == 0
    loop.call_later(0, seen.append, 4)
    loop._scheduled.clear()
    kept = loop.call_later(0, seen.append, 5)
    loop.call_later(0, seen.append, 6)
    loop._scheduled = [kept]
    assert list(loop._scheduled) == [kept]
    loop.run_until_complete(asyncio.sleep(0.001))
    assert seen == [1, 3, 5]
    loop._scheduled.append(asyncio.TimerHandle(loop.time(), seen.append, (7,), loop))
    loop.run_until_complete(asyncio.sleep(0.001))
    assert seen == [1, 3, 5, 7]


def test_self_pipe(loop):
    """What is written to it are signals."""
    seen = []
    assert loop._internal_fds == 1
    loop.add_signal_handler(signal.SIGUSR1, seen.append, "heard")
    loop._csock.send(bytes([signal.SIGUSR1]))
    for _ in range(3):
        turn(loop)
    assert seen == ["heard"]
    assert loop._ssock.fileno() >= 0
    assert loop._internal_fds == 1
    loop.close()
    assert loop._ssock is loop._csock is None
    assert loop._internal_fds == 0
