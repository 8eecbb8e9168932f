"""call_soon() and the Handle it returns."""

import asyncio
import contextvars
import gc
import sys
import weakref

import pytest

VAR = contextvars.ContextVar("VAR", default="none")


def run_ready(loop):
    loop.call_soon(loop.stop)
    loop.run_forever()


@pytest.mark.parametrize("count", range(7))
def test_arguments(loop, count):
    calls = []
    args = tuple(object() for _ in range(count))
    handle = loop.call_soon(lambda *args: calls.append(args), *args)
    assert handle._args == args
    run_ready(loop)
    assert calls == [args]


def test_order_and_turns(loop):
    seen = []

    def again(number):
        seen.append(number)
        if number < 3:
            loop.call_soon(again, number + 10)

    for number in range(3):
        loop.call_soon(again, number)
    run_ready(loop)
    # What callbacks add runs in the next turn, after stop() has ended this one.
    assert seen == [0, 1, 2]
    run_ready(loop)
    assert seen == [0, 1, 2, 10, 11, 12]


def test_many_at_once(loop):
    seen = []
    for number in range(5000):
        loop.call_soon(seen.append, number)
    run_ready(loop)
    assert seen == list(range(5000))


def test_context_is_copied(loop):
    seen = []

    def callback():
        seen.append(VAR.get())
        VAR.set("inside")

    VAR.set("outside")
    loop.call_soon(callback)
    run_ready(loop)
    assert seen == ["outside"]
    assert VAR.get() == "outside"


def test_callbacks_of_one_context_do_not_see_each_other(loop):
    seen = []

    def step(value):
        seen.append(VAR.get())
        VAR.set(value)

    def register():
        VAR.set("outer")
        handles = [loop.call_soon(step, number) for number in range(4)]
        handles.append(loop.call_later(0, step, 4))
        handles.append(loop.call_soon_threadsafe(step, 5))
        VAR.set("later")
        handles.append(loop.call_soon(step, 6))
        return handles

    handles = contextvars.copy_context().run(register)
    assert len({id(handle._context) for handle in handles[2:]}) == len(handles) - 2
    run_ready(loop)
    run_ready(loop)
    assert sorted(seen) == ["later"] + ["outer"] * 6
    assert [handle._context[VAR] for handle in handles] == [0, 1, 2, 3, 4, 5, 6]


def test_contexts_keep_no_value_alive(loop):
    class Value:
        pass

    value = Value()
    gone = weakref.ref(value)

    def register(value):
        VAR.set(value)
        loop.call_soon(int)
        loop.call_later(1000, int).cancel()
        return loop.call_soon(int)

    handle = contextvars.copy_context().run(register, value)
    del value
    run_ready(loop)
    assert gone() is not None
    handle.cancel()
    del handle
    run_ready(loop)
    gc.collect()
    assert gone() is None


def test_given_context(loop):
    context = contextvars.copy_context()
    context.run(VAR.set, "given")
    seen = []
    handle = loop.call_soon(lambda: seen.append(VAR.get()), context=context)
    loop.call_soon(VAR.set, "changed", context=context)
    assert handle._context is context
    run_ready(loop)
    assert seen == ["given"]
    assert context[VAR] == "changed"


def test_entered_context_is_reported(loop, reports, caplog):
    context = contextvars.copy_context()
    loop.call_soon(print, context=context)
    context.run(run_ready, loop)
    # From 3.12 on the exception handler runs in the same context, fails too, and is logged.
    said = str(reports.pop()["exception"]) if reports else caplog.text
    assert "already entered" in said


@pytest.mark.parametrize("bad", [{"name": 1}, {"context": None, "x": 2}])
def test_unknown_keyword(loop, bad):
    with pytest.raises(TypeError, match="unexpected keyword argument"):
        loop.call_soon(print, **bad)


def test_missing_callback(loop):
    for method in (loop.call_soon, loop.call_soon_threadsafe):
        with pytest.raises(TypeError, match="missing .* argument"):
            method()


def test_handle_is_asyncios(loop):
    loop.set_debug(False)
    handle = loop.call_soon(print, 1)
    assert isinstance(handle, asyncio.Handle)
    assert not isinstance(handle, asyncio.TimerHandle)
    assert handle._loop is loop
    assert handle._callback is print
    assert handle.cancelled() is False
    # From 3.13 on arguments are shown in debug mode only.
    call = "print(1)" if sys.version_info < (3, 13) else "print()"
    assert repr(handle) == f"<Handle {call}>"
    handle.cancel()
    assert handle.cancelled() is True
    assert handle._cancelled is True
    assert handle._callback is None
    assert handle._args is None
    assert repr(handle) == "<Handle cancelled>"
    handle.cancel()


def test_handle_keeps_its_call_after_the_run(loop):
    handle = loop.call_soon(print)
    run_ready(loop)
    assert handle._callback is print
    assert handle.cancelled() is False


def test_cancel_before_the_run(loop):
    seen = []
    handle = loop.call_soon(seen.append, 1)
    handle.cancel()
    run_ready(loop)
    assert seen == []


def test_cancel_by_an_earlier_callback(loop):
    seen = []
    handles = []
    loop.call_soon(lambda: handles[0].cancel())
    handles.append(loop.call_soon(seen.append, 1))
    run_ready(loop)
    assert seen == []


def test_cancel_inside_the_callback(loop):
    seen = []

    def callback(*args):
        handle.cancel()
        gc.collect()
        seen.append(args)
        assert handle._callback is None

    args = ([1], [2])
    handle = loop.call_soon(callback, *args)
    run_ready(loop)
    assert seen == [args]
    assert handle.cancelled()
    assert handle._args is None


def test_weak_reference(loop):
    handle = loop.call_soon(print)
    gone = []
    reference = weakref.ref(handle, gone.append)
    assert reference() is handle
    handle.cancel()
    del handle
    run_ready(loop)
    assert reference() is None
    assert len(gone) == 1


def test_arguments_are_released(loop):
    class Thing:
        pass

    thing = Thing()
    reference = weakref.ref(thing)
    loop.call_soon(lambda *_: None, thing, thing, thing, thing)
    handle = loop.call_soon(lambda *_: None, thing)
    handle.cancel()
    del thing, handle
    run_ready(loop)
    assert reference() is None


@pytest.mark.parametrize("method", ["call_soon", "call_later", "call_soon_threadsafe"])
def test_cycle_through_a_handle_that_has_run_is_collected(loop, method):
    class Thing:
        def use(self):
            loop.stop()

    thing = Thing()
    delay = [0] if method == "call_later" else []
    thing.handle = getattr(loop, method)(*delay, thing.use)
    loop.run_forever()
    loop.call_soon(int)
    reference = weakref.ref(thing)
    del thing
    gc.collect()
    assert reference() is None


def test_cycle_through_the_loop_is_collected(loop_factory):
    class Thing:
        def use(self):
            pass

    loop = loop_factory()
    thing = Thing()
    thing.handle = loop.call_soon(thing.use)
    thing.timer = loop.call_later(1000, thing.use)
    reference = weakref.ref(thing)
    loop.close()
    del thing, loop
    gc.collect()
    assert reference() is None


def test_exception_is_reported(loop, reports):
    error = ZeroDivisionError()

    def fail():
        raise error

    handle = loop.call_soon(fail)
    seen = []
    loop.call_soon(seen.append, 1)
    run_ready(loop)
    report = reports.pop()
    assert report["exception"] is error
    assert report["handle"] is handle
    assert report["message"].startswith("Exception in callback test_exception_is_reported.<locals>")
    assert error.__traceback__ is not None
    assert seen == [1]


def test_not_callable_is_reported(loop, reports):
    loop.set_debug(False)
    loop.call_soon(None)
    run_ready(loop)
    assert isinstance(reports.pop()["exception"], TypeError)


def test_cancelled_error_is_reported(loop, reports):
    def fail():
        raise asyncio.CancelledError

    loop.call_soon(fail)
    run_ready(loop)
    assert isinstance(reports.pop()["exception"], asyncio.CancelledError)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_exits_leave_run_forever(loop, error):
    def fail():
        raise error

    seen = []
    loop.call_soon(fail)
    loop.call_soon(seen.append, 1)
    with pytest.raises(error):
        loop.run_forever()
    assert not loop.is_running()
    assert seen == []
    run_ready(loop)
    assert seen == [1]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_exits_of_the_exception_handler(loop, error):
    def handler(loop, context):
        raise error

    loop.set_exception_handler(handler)
    loop.call_soon(lambda: 1 / 0)
    with pytest.raises(error):
        loop.run_forever()


def test_failing_exception_handler(loop, caplog):
    def handler(loop, context):
        raise ValueError("no")

    loop.set_exception_handler(handler)
    loop.call_soon(lambda: 1 / 0)
    run_ready(loop)
    assert "Unhandled error in exception handler" in caplog.text


def test_closed_loop(loop):
    loop.close()
    for method in (loop.call_soon, loop.call_soon_threadsafe):
        with pytest.raises(RuntimeError, match="Event loop is closed"):
            method(print)
    for method in (loop.call_later, loop.call_at):
        with pytest.raises(RuntimeError, match="Event loop is closed"):
            method(1, print)


def test_call_soon_threadsafe_keeps_the_order(loop):
    seen = []
    loop.call_soon(seen.append, 1)
    loop.call_soon_threadsafe(seen.append, 2)
    loop.call_soon(seen.append, 3)
    loop.call_soon_threadsafe(seen.append, 4)
    run_ready(loop)
    assert seen == [1, 2, 3, 4]
