"""Handle and TimerHandle (csrc/loop/callback.c)."""

import asyncio
import contextvars
import gc
import sysconfig
import weakref

import pytest

import fastaio
from fastaio import _core


@pytest.fixture
def loop():
    loop = fastaio.new_event_loop()
    loop.set_debug(False)  # also under python -X dev
    yield loop
    loop.close()


def test_cannot_be_made_by_hand():
    for kind in (_core.Handle, _core.TimerHandle):
        with pytest.raises(TypeError):
            kind()


@pytest.mark.skipif(
    bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    reason="only where the collector has its two words in front of an object",
)
def test_waiting_callbacks_do_not_bring_a_collection_nearer(loop):
    gc.collect()
    before = [generation["collections"] for generation in gc.get_stats()]
    for _ in range(20 * gc.get_threshold()[0]):
        loop.call_soon(int)
        loop.call_later(1000, int)
        loop.call_soon_threadsafe(int)
    assert [generation["collections"] for generation in gc.get_stats()] == before
    loop.call_soon(loop.stop)
    loop.run_forever()


def test_classes(loop):
    handle = loop.call_soon(print)
    timer = loop.call_later(1, print)
    assert type(handle) is _core.Handle
    assert type(timer) is _core.TimerHandle
    assert handle.__class__ is asyncio.Handle
    assert timer.__class__ is asyncio.TimerHandle
    handle.cancel()
    timer.cancel()


def test_run_by_hand(loop):
    seen = []
    handle = loop._new_handle(seen.append, 1)
    handle._run()
    loop._add_callback(handle)
    loop._run_once()
    assert seen == [1, 1]
    handle.cancel()
    loop._add_callback(handle)
    assert loop._ready == []
    reports = []
    loop.set_exception_handler(lambda _, context: reports.append(context["exception"]))
    handle._run()  # asyncio: Handle._run, which takes None for callback and arguments
    assert [type(report) for report in reports] == [TypeError]
    with pytest.raises(KeyboardInterrupt):
        loop._new_handle(interrupt)._run()
    with pytest.raises(TypeError, match="A Handle is required here"):
        loop._add_callback(print)


def interrupt():
    raise KeyboardInterrupt


def test_get_context(loop):
    context = contextvars.copy_context()
    handle = loop.call_soon(print, context=context)
    assert handle.get_context() is context
    handle.cancel()


def test_reused_memory_is_clean(loop):
    """Handles come from a freelist: nothing of the one before shines through."""
    for _ in range(3):
        handles = [loop.call_soon(print, n, n, n, n) for n in range(50)]
        for handle in handles:
            handle.cancel()
        timers = [loop.call_later(1000, print, n) for n in range(50)]
        for timer in timers:
            assert timer._scheduled
            timer.cancel()
        loop.call_soon(loop.stop)
        loop.run_forever()
        del handles, timers, handle, timer
        fresh = loop.call_soon(len, "x")
        assert not fresh.cancelled()
        assert fresh._args == ("x",)
        assert fresh._source_traceback is None
        fresh.cancel()


def test_ready_shows_what_waits(loop):
    handle = loop.call_soon(print)
    other = loop.call_soon(print)
    assert loop._ready == [handle, other]
    handle.cancel()
    other.cancel()


def test_queues_hold_handles(loop):
    with pytest.raises(TypeError):
        loop._ready = [1]
    with pytest.raises(AttributeError):
        del loop._scheduled


def test_context_that_is_none_of_pythons(loop):
    reports = []
    loop.set_exception_handler(lambda _, report: reports.append(report))
    loop.call_soon(print, context=object())
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert len(reports) == 1


def test_collected_in_a_cycle():
    def make():
        loop = fastaio.new_event_loop()
        loop.call_soon(loop.stop)
        loop.call_later(5, loop.stop)
        loop.add_reader(loop._signal_wakeup_fd(), loop.stop)
        return loop

    gc.collect()
    with pytest.warns(ResourceWarning, match="unclosed event loop"):
        make()
        gc.collect()
    assert not [o for o in gc.get_objects() if type(o) is fastaio.Loop and not o.is_closed()]


@pytest.mark.parametrize("where", ["ready", "timers"])
def test_what_waits_in_long_queues_is_not_garbage(where):
    """The collector does not go over them while the loop runs; afterwards it does."""

    class Thing:
        def __init__(self, ran):
            self.ran = ran
            self.itself = self

        def call(self):
            self.ran.append(self)

    async def main():
        loop = asyncio.get_running_loop()
        ran = []
        for _ in range(3000):
            if where == "ready":
                loop.call_soon(Thing(ran).call)
            else:
                loop.call_later(0.001, Thing(ran).call)
        gc.collect()
        while len(ran) < 3000:
            await asyncio.sleep(0.001)
        for _ in range(3000):
            if where == "ready":
                loop.call_soon(Thing(ran).call)
            else:
                loop.call_later(100, Thing(ran).call)
        return weakref.ref(Thing(ran)), loop

    loop = fastaio.new_event_loop()
    reference, _ = loop.run_until_complete(main())
    loop.close()
    del loop, _
    gc.collect()
    assert reference() is None
    assert not any(type(each).__name__ == "Thing" for each in gc.get_objects())
