"""Attributes of handles, transports and loops that programs set, as they may on asyncio.

The names are those that the running Python's own code assigns.
"""

import asyncio
import contextvars
import socket
import weakref
from asyncio import events
from unittest import mock

import pytest

# -- handles ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["Handle", "TimerHandle"])
def test_all_of_a_handle_can_be_set(loop, assigned, kind):
    handle = loop.call_soon(print) if kind == "Handle" else loop.call_later(1000, print)
    for name in assigned(getattr(events, kind)):
        value = 2000.5 if name == "_when" else object()
        if name == "_cancelled":
            value = True
        setattr(handle, name, value)
        assert getattr(handle, name) is value or getattr(handle, name) == value, name
    for name in ("_run", "another"):
        with pytest.raises(AttributeError):
            setattr(handle, name, None)


def test_callback_and_arguments_set(loop):
    seen = []
    handle = loop.call_soon(seen.append, 1)
    handle._callback = seen.extend
    handle._args = ([2, 3],)
    timer = loop.call_later(0, print)
    timer._callback, timer._args = (lambda *args: seen.append(args)), (4, 5, 6, 7)
    loop.call_soon(seen.append, 8)._args = [9]  # any iterable
    loop.call_later(0.01, loop.stop)
    loop.run_forever()
    assert seen[:3] == [2, 3, 9]
    assert seen[3:] == [(4, 5, 6, 7)]


def test_set_while_it_runs(loop):
    """The call goes on with what it was made with."""
    seen = []
    handles = []

    class Callback:
        def __call__(self, *args):
            (handle,) = handles
            handle._callback = print
            handle._args = ()
            handle._context = contextvars.copy_context()
            handle._cancelled = True
            seen.append(args)

        def __del__(self):
            seen.append("gone")

    handles.append(loop.call_soon(Callback(), [1], [2]))
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert seen[0] == ([1], [2])
    assert handles[0]._callback is print
    assert handles[0]._args == ()
    assert handles[0].cancelled()
    handles.clear()
    assert seen[1:] == ["gone"]


def test_cancelled_by_the_attribute(loop):
    seen = []
    handle = loop.call_soon(seen.append, 1)
    handle._cancelled = True
    assert handle.cancelled()
    assert (handle._callback, handle._args) == (seen.append, (1,))
    timer = loop.call_later(0, seen.append, 2)
    timer._cancelled = True
    back = loop.call_soon(seen.append, 3)
    back._cancelled = True
    back._cancelled = False
    loop.call_later(0.01, loop.stop)
    loop.run_forever()
    assert seen == [3]


def test_neither_callback_nor_arguments(loop):
    """A cancelled one that is brought back has none."""
    reports = []
    loop.set_exception_handler(lambda loop, context: reports.append(context))
    first = loop.call_soon(print)
    first.cancel()
    first._cancelled = False
    second = loop.call_soon(print)
    second._args = None
    third = loop.call_soon(print)
    third._callback = 3
    fourth = loop.call_soon(print)
    fourth._context = None
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert [type(report["exception"]).__name__ for report in reports] == [
        "TypeError",
        "TypeError",
        "TypeError",
        "AttributeError",
    ]
    assert [str(report["exception"]) for report in reports] == [
        "Value after * must be an iterable, not NoneType",
        "Value after * must be an iterable, not NoneType",
        "'int' object is not callable",
        "'NoneType' object has no attribute 'run'",
    ]


def test_context_set(loop):
    variable = contextvars.ContextVar("variable", default=0)
    seen = []
    other = contextvars.copy_context()
    other.run(variable.set, 7)

    class Runs:
        def run(self, callback, *args):
            seen.append("run")
            callback(*args)

    loop.call_soon(lambda: seen.append(variable.get()))._context = other
    loop.call_soon(lambda: seen.append(variable.get()))._context = Runs()
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert seen == [7, "run", 0]


def test_time_set(loop):
    """Earlier or later: the heap of one has no order to lose."""
    seen = []
    begin = loop.time()
    timer = loop.call_later(1000, lambda: seen.append(loop.time() - begin))
    timer._when = begin + 0.02
    assert timer.when() == begin + 0.02
    waiting = loop.create_task(wait(seen))
    loop.run_until_complete(waiting)
    assert 0.015 < seen[0] < 5
    timer._when = None  # it is over
    assert timer.when() is None


async def wait(seen):
    while not seen:
        await asyncio.sleep(0.001)


def test_reports_go_to_the_loop_that_was_set(loop):
    reports = []

    class Another:
        def call_exception_handler(self, context):
            reports.append(context["message"])

        def get_debug(self):
            return False

    def failing():
        raise ValueError

    loop.call_soon(failing)._loop = Another()
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert len(reports) == 1


def test_arguments_that_are_no_tuple_in_a_context_of_the_programs(loop, reports):
    class Runs:
        def run(self, callback, *args):
            callback(*args)

    seen = []
    for args in ([1], (2,), None):
        handle = loop.call_soon(seen.append)
        handle._context, handle._args = Runs(), args
        if args is None:
            handle._args = iter([3])
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert seen == [1, 2, 3]
    assert reports == []


def test_set_in_every_run(loop):
    """What a call was made with is let go of when the call is over."""
    ours, other = socket.socketpair()
    handles, alive = [], weakref.WeakSet()

    class Argument:
        pass

    def read(*args):
        handle = handles[0]
        for _ in range(3):
            alive.add(argument := Argument())
            handle._args = (argument,)
        counts.append(len(alive))
        if len(counts) == 10:
            loop.stop()

    counts = []
    with ours, other:
        other.send(b"x")
        handles.append(loop._add_reader(ours, read))
        loop.run_forever()
        loop.remove_reader(ours)
    assert max(counts) <= 4


# -- flags, and attributes that are deleted --------------------------------------------------------


def test_flags_read_as_they_were_set(loop):
    for value in (5, 0, None, "text", [], False, True):
        loop.set_debug(value)
        assert loop.get_debug() is value
        assert loop._debug is value
        assert f"debug={value}" in repr(loop)
    loop.set_debug(False)
    handle = loop.call_soon(print)
    handle._cancelled = 7
    assert handle._cancelled == handle.cancelled() == 7
    handle._cancelled = False
    assert handle.cancelled() is False
    handle._cancelled = ""
    assert handle.cancelled() == ""
    handle.cancel()
    assert handle.cancelled() is True


def test_a_flag_that_changes_is_no_longer_what_was_set(loop):
    loop._stopping = 0
    loop.call_soon(lambda: seen.append(loop._stopping))
    seen = []
    loop.stop()
    assert loop._stopping is True
    loop.run_forever()
    assert seen == [True]
    assert loop._stopping is False


def test_attributes_of_handles_can_be_deleted(loop, assigned):
    for handle in (loop.call_soon(print), loop.call_later(1000, print)):
        for name in assigned(handle.__class__):
            before = getattr(handle, name)
            delattr(handle, name)
            assert not hasattr(handle, name)
            with pytest.raises(AttributeError, match=f"^{name}$"):
                delattr(handle, name)
            with pytest.raises(AttributeError, match=f"TimerHandle|Handle.*'{name}'"):
                getattr(handle, name)
            setattr(handle, name, before)
            assert getattr(handle, name) == before
        handle.cancel()


LOOP_FLAGS = ["_debug", "_closed", "_stopping", "_task_factory", "_current_handle", "_thread_id"]


@pytest.mark.parametrize("name", LOOP_FLAGS)
def test_attributes_of_loops_can_be_deleted(loop, name):
    before = getattr(loop, name)
    delattr(loop, name)
    assert not hasattr(loop, name)
    for refused in (delattr, getattr):
        with pytest.raises(AttributeError, match=name):
            refused(loop, name)
    setattr(loop, name, before)
    assert getattr(loop, name) == before
    loop.run_until_complete(asyncio.sleep(0))


@pytest.mark.without_debug
def test_patched_for_a_while(loop):
    """unittest.mock deletes what it has put on the instance, then looks whether it is there."""
    handle = loop.call_later(1000, print)
    with mock.patch.object(loop, "_debug", "patched"):
        assert loop.get_debug() == "patched"
    with mock.patch.object(handle, "_callback", None):
        assert handle._callback is None
    with mock.patch.object(handle, "_when", 5.0):
        assert handle.when() == 5.0
    assert loop.get_debug() is False
    assert handle._callback is print
    assert handle.when() > 5.0
    handle.cancel()
