"""Loops that a program has made its own: subclasses, methods replaced on the class or the instance,
exception handlers that raise or look at what they handle."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import traceback
from fractions import Fraction
from unittest import mock

import pytest

import fastaio

KINDS = [asyncio.SelectorEventLoop, fastaio.Loop]


@pytest.fixture(params=KINDS, ids=["asyncio", "fastaio"])
def kind(request):
    return request.param


def test_arguments_of_a_subclass(kind):
    class Named(kind):
        def __init__(self, name, *, tracer=None):
            super().__init__()
            self.name = name, tracer

    loop = Named("io", tracer=1)
    try:
        assert loop.name == ("io", 1)
        assert loop.run_until_complete(asyncio.sleep(0, 5)) == 5
    finally:
        loop.close()


def test_call_at_of_a_subclass_is_called(kind):
    seen = []

    class Counting(kind):
        def call_at(self, when, callback, *args, context=None):
            seen.append(when)
            return super().call_at(when, callback, *args, context=context)

    loop = Counting()
    loop.run_until_complete(asyncio.sleep(0.001))
    loop.call_later(5, print).cancel()
    loop.close()
    assert len(seen) == 2


def test_turns_of_a_subclass_are_taken(kind):
    turns = []

    class Counting(kind):
        def _run_once(self):
            turns.append(None)
            super()._run_once()

    loop = Counting()
    assert loop.run_until_complete(asyncio.sleep(0.001, 5)) == 5
    assert len(turns) > 1

    def fail():
        raise ZeroDivisionError

    loop._run_once = fail
    with pytest.raises(ZeroDivisionError):
        loop.run_forever()
    del loop._run_once
    assert loop.run_until_complete(asyncio.sleep(0, 6)) == 6
    loop.close()


def test_methods_replaced_for_a_while(loop):
    with mock.patch.object(loop, "call_at") as call_at:
        loop.call_later(1, print)
    assert call_at.called
    cls = type(loop)

    async def main():
        with mock.patch.object(cls, "time", lambda self: 100.0):
            assert loop.call_later(5, print).when() == 105.0
        assert loop.call_later(5, print).when() != 105.0

    with mock.patch.object(cls, "time", lambda self: 100.0):
        assert loop.call_later(5, print).when() == 105.0
    loop.run_until_complete(main())


def test_a_report_that_raises_ends_the_run(kind):
    class Strict(kind):
        def call_exception_handler(self, context):
            raise context["exception"]

    loop = Strict()
    loop.call_soon(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        loop.run_forever()
    loop.close()


@pytest.mark.parametrize("reraise", [False, True])
def test_handlers_see_what_they_handle(loop, reraise):
    seen = []

    def handler(loop, context):
        seen.append((sys.exc_info()[1] is context["exception"], traceback.format_exc()[-20:]))
        if reraise:
            raise

    loop.set_exception_handler(handler)
    loop.call_soon(lambda: 1 / 0)
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert [first for first, _ in seen] == [True]
    assert seen[0][1].endswith("division by zero\n")
    assert sys.exc_info() == (None, None, None)


def test_handlers_see_what_a_protocol_raised(loop):
    seen = []

    class Failing(asyncio.Protocol):
        def data_received(self, data):
            raise ZeroDivisionError

        def connection_lost(self, exc):
            loop.stop()

    async def connect():
        ours, theirs = socket.socketpair()
        await loop.create_connection(Failing, sock=ours)
        return theirs

    loop.set_exception_handler(lambda _, context: seen.append(sys.exc_info()[0]))
    with loop.run_until_complete(connect()) as peer:
        peer.send(b"x")
        loop.run_forever()
    assert seen == [ZeroDivisionError]


def test_an_interrupted_handler_names_its_cause(loop):
    def handler(loop, context):
        raise KeyboardInterrupt

    loop.set_exception_handler(handler)
    loop.call_soon(lambda: 1 / 0)
    with pytest.raises(KeyboardInterrupt) as caught:
        loop.run_forever()
    assert isinstance(caught.value.__context__, ZeroDivisionError)


# -- odd arguments ---------------------------------------------------------------------------------


def test_delays_are_what_can_be_added_to_a_time(loop):
    assert loop.call_later(Fraction(1, 2), print).when() > loop.time()
    with pytest.raises(TypeError, match="unsupported operand"):
        loop.call_later(object(), print)


@pytest.mark.parametrize("keywords", [{"loop": None}, {"spam": 1}])
def test_create_task_knows_its_keywords(loop, keywords):
    async def nothing():
        pass

    coroutine = nothing()
    with pytest.raises(TypeError, match="unexpected keyword|invalid keyword|multiple values"):
        loop.create_task(coroutine, **keywords)
    coroutine.close()


def test_a_context_is_what_has_run(loop):
    class Context:
        def run(self, callback, *args):
            calls.append((callback, args))
            return callback(*args)

    calls = []
    loop.call_soon(calls.append, 1, context=Context())
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert calls == [(calls.append, (1,)), 1]


def test_a_closed_loop_waits_for_no_socket(loop):
    loop.close()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        coroutine = loop.sock_recv(ours, 1)
        with pytest.raises(RuntimeError, match="Event loop is closed"):
            coroutine.send(None)
        for method in (loop.add_reader, loop.add_writer):
            with pytest.raises(ValueError, match="Invalid file object: 'x'"):
                method("x", print)


def test_a_callback_that_cancels_itself_shows_itself(loop):
    loop.set_debug(True)

    def cancels():
        handle.cancel()

    handle = loop.call_soon(cancels)
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert repr(handle).startswith("<Handle cancelled test_a_callback_that_cancels_itself")


@pytest.mark.skipif(sys.version_info < (3, 13), reason="asyncio has the two methods from 3.13 on")
def test_begin_and_end_of_a_run_are_methods(kind):
    class Hooked(kind):
        def __init__(self):
            super().__init__()
            self.calls = []

        def _run_forever_setup(self):
            self.calls.append("setup")
            super()._run_forever_setup()
            self.calls.append(self.is_running())

        def _run_forever_cleanup(self):
            super()._run_forever_cleanup()
            self.calls.append(self.is_running())

    with contextlib.closing(Hooked()) as loop:
        loop.run_until_complete(asyncio.sleep(0))
        assert loop.calls == ["setup", True, False]
        # And by hand, as loops in the loop of another toolkit do.
        ran = []
        loop.call_soon(lambda: ran.append(asyncio.get_running_loop() is loop))
        loop._run_forever_setup()
        try:
            loop._run_once()
        finally:
            loop._run_forever_cleanup()
        assert ran == [True]
        assert loop.calls == ["setup", True, False] * 2
        loop.run_until_complete(asyncio.sleep(0))


@pytest.mark.parametrize("when", ["before the run", "in a callback"])
@pytest.mark.parametrize("debug", [False, True])
def test_run_of_handles_replaced(loop, reports, when, debug):
    """aiodebug and others measure callbacks by a ``Handle._run()`` of their own."""
    loop.set_debug(debug)
    seen = []
    original = asyncio.events.Handle._run

    def counted(self):
        seen.append(self._callback)
        return original(self)

    def fails():
        raise ValueError("mine")

    def start():
        asyncio.events.Handle._run = counted

    cancelled = loop.call_soon(print)
    cancelled.cancel()
    try:
        if when == "before the run":
            start()
        else:
            loop.call_soon(start)
            loop.call_soon(loop.stop)
            loop.run_forever()
            seen.clear()
        loop.call_soon(int, "7")
        loop.call_soon(fails)
        loop.call_later(0.001, float)
        loop.call_soon_threadsafe(str)
        loop.call_later(0.01, loop.stop)
        loop.run_forever()
        handle = loop.call_soon(lambda: handle.cancel())
        loop.run_until_complete(asyncio.sleep(0))
    finally:
        asyncio.events.Handle._run = original
    assert [f for f in seen if f in (int, fails, float, str)] == [int, fails, str, float]
    [report] = reports
    reports.clear()
    assert isinstance(report["exception"], ValueError)
    assert report["message"].startswith("Exception in callback test_run_of_handles_replaced.")
    seen.clear()
    loop.run_until_complete(asyncio.sleep(0))
    assert seen == []


def test_what_a_run_of_handles_raises_ends_the_run(loop):
    def refuses(self):
        raise OSError("not today")

    loop.call_soon(int)
    with mock.patch.object(asyncio.events.Handle, "_run", refuses):
        with pytest.raises(OSError, match="not today"):
            loop.run_forever()
    loop.call_soon(loop.stop)
    loop.run_forever()


def test_run_of_timer_handles_replaced(loop):
    seen = []
    original = asyncio.TimerHandle._run

    def counted(self):
        seen.append(self.when())
        return original(self)

    with mock.patch.object(asyncio.TimerHandle, "_run", counted):
        handle = loop.call_later(0.001, loop.stop)
        loop.call_soon(int)
        loop.run_forever()
    assert seen == [handle.when()]
