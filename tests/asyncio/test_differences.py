"""Where the loop behaves otherwise than asyncio's: each difference is shown on both loops, and the
list in docs/loop.rst is made from this file:

    python tests/asyncio/test_differences.py
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import gc
import inspect
import os
import runpy
import signal
import socket
import ssl
import sys
import textwrap
import warnings
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

import fastaio

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "loop.rst"
BEGIN = ".. differences: made by tests/asyncio/test_differences.py\n"
END = ".. end of the differences\n"
#: The rest of the functions that show them.
SHOWING = runpy.run_path(str(Path(__file__).with_name("showing.py")))


@dataclass(frozen=True)
class Difference:
    """What the page says, and a coroutine function with its results on the two loops."""

    title: str
    text: str
    show: Callable[[], Coroutine[Any, Any, object]]
    asyncio: object
    fastaio: object
    #: The first version on which there is none.
    before: tuple[int, int] = (4, 0)


async def order_of_equal_times() -> bool:
    loop = asyncio.get_running_loop()
    ran: list[int] = []
    when = loop.time() + 0.001
    for number in range(20):
        loop.call_at(when, ran.append, number)
    await asyncio.sleep(0.01)
    return ran == sorted(ran)


async def arrived_within_write() -> bool:
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.setblocking(False)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
        transport.write(b"x")
        try:
            return theirs.recv(1) == b"x"
        except BlockingIOError:
            return False
        finally:
            transport.abort()
            await asyncio.sleep(0)


async def arrived_within_close() -> bool:
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.setblocking(False)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
        transport.write(b"x")
        transport.close()
        arrived = theirs.recv(1) == b"x"
        await asyncio.sleep(0)
        return arrived


async def ends_told() -> bool:
    """Whether eof_received() is called more than once."""
    ends = []

    class Protocol(asyncio.Protocol):
        def eof_received(self) -> bool:
            ends.append(None)
            return True

    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    with theirs:
        transport, _ = await loop.create_connection(Protocol, sock=ours)
        theirs.shutdown(socket.SHUT_WR)
        while not ends:
            await asyncio.sleep(0)
        transport.pause_reading()
        transport.resume_reading()
        for _ in range(10):
            await asyncio.sleep(0.001)
        transport.abort()
        await asyncio.sleep(0)
    return len(ends) > 1


async def takes_a_turn_for_a_number() -> bool:
    held = concurrent.futures.Future[Any]()
    pool = concurrent.futures.ThreadPoolExecutor(1)
    pool.submit = lambda *_: held  # type: ignore[method-assign]
    asyncio.get_running_loop().set_default_executor(pool)
    coroutine = asyncio.get_running_loop().getaddrinfo("127.0.0.1", 80)
    try:
        future = coroutine.send(None)
    except StopIteration:
        return False
    held.set_result([])
    await asyncio.wait([future])
    coroutine.close()
    return True


async def looks_names_up_in_the_executor() -> bool:
    loop = asyncio.get_running_loop()
    await loop.getaddrinfo("localhost", 80)
    return loop._default_executor is not None


async def error_of_text_into_a_pipe() -> str:
    read_fd, write_fd = os.pipe()
    with open(read_fd, "rb", 0), open(write_fd, "wb", 0) as writer:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, writer)
        try:
            transport.write("text")  # type: ignore[arg-type]
        except Exception as exc:
            return type(exc).__name__
        finally:
            transport.abort()
            await asyncio.sleep(0)
    return "none"


async def no_delay_without_a_protocol_number() -> bool:
    loop = asyncio.get_running_loop()
    accepted = loop.create_future()

    class Protocol(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            accepted.set_result(transport)

    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0)
    listening.bind(("127.0.0.1", 0))
    server = await loop.create_server(Protocol, sock=listening)
    with socket.socket() as sock:
        sock.setblocking(False)
        await loop.sock_connect(sock, listening.getsockname())
        transport = await accepted
        option = socket.IPPROTO_TCP, socket.TCP_NODELAY
        no_delay: int = transport.get_extra_info("socket").getsockopt(*option)
        transport.abort()
        await asyncio.sleep(0)
    server.close()
    await server.wait_closed()
    return no_delay != 0


async def factory_runs_in_a_task() -> bool:
    loop = asyncio.get_running_loop()
    task = loop.create_future()

    class Protocol(asyncio.Protocol):
        def __init__(self) -> None:
            task.set_result(asyncio.current_task())

        def connection_made(self, transport: Any) -> None:
            transport.abort()

    server = await loop.create_server(Protocol, "127.0.0.1", 0)
    with socket.create_connection(server.sockets[0].getsockname()):
        current = await task
        await asyncio.sleep(0.001)
    server.close()
    await server.wait_closed()
    return current is not None


async def keys_of_a_failed_datagram_received() -> list[str]:
    loop = asyncio.get_running_loop()
    context = loop.create_future()

    class Failing(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: Any) -> None:
            raise ZeroDivisionError

    loop.set_exception_handler(lambda _, told: context.set_result(told))
    transport, _ = await loop.create_datagram_endpoint(Failing, ("127.0.0.1", 0))
    transport.sendto(b"x", transport.get_extra_info("sockname"))
    keys = sorted(await context)
    transport.close()
    await asyncio.sleep(0)
    return keys


async def wakeup_descriptor_of_a_run() -> bool:
    """Whether the run has set one."""
    before = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(before)
    return before != -1


async def device_that_cannot_be_watched() -> str:
    """What comes of reading /dev/null."""
    loop = asyncio.get_running_loop()
    told = loop.create_future()

    class Reader(asyncio.Protocol):
        def eof_received(self) -> None:
            told.set_result("its end")

    def report(_: Any, context: dict[str, Any]) -> None:
        told.set_result(type(context["exception"]).__name__)

    loop.set_exception_handler(report)
    with open("/dev/null", "rb", 0) as pipe:
        transport, _ = await loop.connect_read_pipe(Reader, pipe)
        outcome: str = await told
        transport.close()
        await asyncio.sleep(0)
    return outcome


async def end_of_pipe_without_eof_received() -> bool:
    """Whether the pipe is closed."""
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    loop.set_exception_handler(lambda *_: told.set())
    ours, theirs = os.pipe()
    with open(ours, "rb", 0) as pipe:
        # The interpreter's own kinds of protocols have the method.
        transport, _ = await loop.connect_read_pipe(asyncio.BaseProtocol, pipe)
        os.close(theirs)
        await told.wait()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        closed = pipe.closed
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            del transport
            gc.collect()
        return closed


async def child_with_a_watcher_that_does_not_work() -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)

        class Watcher(asyncio.AbstractChildWatcher):
            def is_active(self) -> bool:
                return False

            def __enter__(self) -> Watcher:
                return self

            def __exit__(self, *_: object) -> None:
                pass

            def close(self) -> None:
                pass

        asyncio.set_child_watcher(Watcher())
        try:
            child = await asyncio.create_subprocess_exec("true")
        except RuntimeError:
            return "RuntimeError"
        finally:
            asyncio.set_child_watcher(None)
    return f"ended with {await child.wait()}"


async def context_of_resume_writing() -> str:
    variable = contextvars.ContextVar("variable", default="")
    told = asyncio.get_running_loop().create_future()

    class Writer(asyncio.Protocol):
        def resume_writing(self) -> None:
            told.set_result(variable.get())

    ours, theirs = socket.socketpair()
    with theirs:
        theirs.setblocking(False)
        loop = asyncio.get_running_loop()
        variable.set("of the connection")
        transport, _ = await loop.create_connection(Writer, sock=ours)
        variable.set("of the write()")
        transport.write(bytes(1 << 20))
        while not told.done():
            await loop.sock_recv(theirs, 1 << 20)
            await asyncio.sleep(0)
        transport.abort()
        await asyncio.sleep(0)
    outcome: str = told.result()
    return outcome


async def reader_beside_a_pipe() -> str:
    ours, theirs = os.pipe()
    loop = asyncio.get_running_loop()
    with open(ours, "rb", 0) as pipe:
        transport, _ = await loop.connect_read_pipe(asyncio.Protocol, pipe)
        await asyncio.sleep(0)
        try:
            outcome = "ended it" if loop.remove_reader(pipe) else "nothing"
        except RuntimeError:
            outcome = "RuntimeError"
        transport.close()
        await asyncio.sleep(0)
    os.close(theirs)
    return outcome


async def is_a_coroutine_function() -> bool:
    return inspect.iscoroutinefunction(asyncio.get_running_loop().sock_recv)


async def can_be_closed_after_a_refusal() -> bool:
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    with theirs, ours:
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
        loop.set_debug(True)
        with ThreadPoolExecutor() as pool:
            assert pool.submit(transport.close).exception() is not None
        loop.set_debug(False)
        transport.close()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        closed = ours.fileno() < 0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            del transport
            gc.collect()
    return closed


async def hears_of_another_file_when_resumed() -> bool:
    loop = asyncio.get_running_loop()
    seen = []

    class Reader(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            seen.append(data)

    ours, theirs = socket.socketpair()
    others = socket.socketpair()
    with theirs, others[0], others[1]:
        transport, _ = await loop.create_connection(Reader, sock=ours)
        await asyncio.sleep(0)
        os.dup2(others[0].fileno(), ours.fileno())
        others[1].send(b"x")
        transport.pause_reading()
        transport.resume_reading()
        await asyncio.sleep(0.001)
        transport.abort()
        await asyncio.sleep(0)
    return bool(seen)


async def abort_of_a_closed_pipe() -> str:
    ours, theirs = os.pipe()
    with open(theirs, "wb", 0) as pipe:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, pipe)
        transport.close()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    os.close(ours)
    try:
        transport.abort()
    except AttributeError:
        return "AttributeError"
    return "nothing"


async def runs_data_received_by_a_handle() -> bool:
    original = asyncio.Handle._run  # type: ignore[attr-defined]
    running: list[object] = []
    seen: list[bool] = []

    def run(handle: asyncio.Handle) -> None:
        running.append(handle)
        original(handle)
        running.pop()

    class Reader(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            seen.append(bool(running))

    ours, theirs = socket.socketpair()
    with theirs:
        transport, _ = await asyncio.get_running_loop().create_connection(Reader, sock=ours)
        asyncio.Handle._run = run  # type: ignore[attr-defined]
        try:
            await asyncio.sleep(0)
            theirs.send(b"x")
            while not seen:
                await asyncio.sleep(0)
        finally:
            asyncio.Handle._run = original  # type: ignore[attr-defined]
        transport.abort()
        await asyncio.sleep(0)
    return seen[0]


async def has_steps() -> bool:
    ours, theirs = socket.socketpair()
    with theirs:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
        transport.abort()
        await asyncio.sleep(0)
        return hasattr(transport, "_read_ready__data_received")


async def sends_later_changes() -> bool:
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.setblocking(False)
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
        data = bytearray(4 << 20)
        transport.write(data)
        data[:] = b"x" * len(data)
        got = bytearray()
        while len(got) < len(data):
            got += await loop.sock_recv(theirs, 1 << 20)
        transport.close()
        return b"x" in got


async def datagrams_without_a_turn_between() -> bool:
    loop = asyncio.get_running_loop()
    seen: list[object] = []
    done = loop.create_future()

    class Receiver(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: Any) -> None:
            seen.append(data)
            loop.call_soon(seen.append, "soon")
            if len(data) == 2:
                done.set_result(None)

    transport, _ = await loop.create_datagram_endpoint(Receiver, ("127.0.0.1", 0))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(transport.get_extra_info("sockname"))
        sender.send(b"1")
        sender.send(b"22")
    await done
    transport.close()
    return seen[:2] == [b"1", b"22"]


async def error_within_sendto() -> bool:
    errors = []

    class Sender(asyncio.DatagramProtocol):
        def error_received(self, exc: Exception) -> None:
            errors.append(exc)

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Sender, ("127.0.0.1", 0))
    transport.sendto(b"x", ("127.0.0.1", 0))
    told = bool(errors)
    transport.close()
    await asyncio.sleep(0)
    assert errors
    return told


async def turn_between_full_buffers() -> bool:
    """Whether call_soon() from buffer_updated() runs before the last of them, over TLS."""
    loop = asyncio.get_running_loop()
    seen: list[object] = []
    lost = loop.create_future()

    class Receiver(asyncio.BufferedProtocol):
        buffer = bytearray(4)

        def get_buffer(self, sizehint: int) -> bytearray:
            return self.buffer

        def buffer_updated(self, nbytes: int) -> None:
            seen.append(nbytes)
            loop.call_soon(seen.append, "soon")

        def connection_lost(self, exc: Exception | None) -> None:
            lost.set_result(None)

    authority = trustme.CA()
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(ours)
    theirs = ssl.create_default_context()
    authority.configure_trust(theirs)
    server = await loop.create_server(Receiver, "127.0.0.1", 0, ssl=ours)
    address = server.sockets[0].getsockname()
    _, writer = await asyncio.open_connection(*address, ssl=theirs, server_hostname="localhost")
    writer.write(b"ten bytes.")
    writer.close()
    await writer.wait_closed()
    await lost
    server.close()
    return seen[:3] != [4, 4, 2]


DIFFERENCES = [
    Difference(
        "Timers of the same time",
        "run in the order they were made. Times are kept in nanoseconds.",
        order_of_equal_times,
        False,
        True,
    ),
    Difference(
        "Gathered output",
        "``transport.write()`` hands bytes to the kernel at the end of the loop's turn (or at once "
        "when 64 KiB have gathered), where asyncio's does within the call. Pipes are written to at "
        "once, and so is everything while the loop does not run.",
        arrived_within_write,
        True,
        False,
    ),
    Difference(
        "Mutable buffers",
        "are sent as they were at the call of ``write()``: asyncio's loop, from Python 3.12 on, "
        "keeps a view of what it could not send at once, and sends what is in it later.",
        sends_later_changes,
        sys.version_info >= (3, 12),
        False,
    ),
    Difference(
        "Datagrams",
        "A transport hands over several datagrams a turn where several wait, so "
        "``datagram_received()`` may be called again before what it asked for with "
        "``call_soon()`` has run; asyncio hands over one.",
        datagrams_without_a_turn_between,
        False,
        True,
    ),
    Difference(
        "Errors of datagrams",
        "``sendto()`` gathers, too: ``error_received()`` is called, and a wrong address noticed, "
        "at the end of the turn and not within the call, and of errors that the kernel has for "
        "several datagrams of a turn one may be told for all. After ``close()`` nothing more is "
        "sent, also where asyncio's unconnected transport sends up to the turn's end.",
        error_within_sendto,
        True,
        False,
    ),
    Difference(
        "BufferedProtocol over TLS",
        "A buffer that was filled is asked for again and filled with the rest at once; asyncio's "
        "loop does so in later turns, and loses what is left where the connection ends before.",
        turn_between_full_buffers,
        True,
        False,
    ),
    Difference(
        "The end of a stream",
        "``eof_received()`` is called once, even where reading is paused and resumed after it.",
        ends_told,
        True,
        False,
    ),
    Difference(
        "Numeric addresses",
        "``getaddrinfo()`` of a numeric host and port, and ``getnameinfo()`` where numbers are "
        "asked "
        "for, have their answer without a turn of the loop; asyncio's asks a thread.",
        takes_a_turn_for_a_number,
        True,
        False,
    ),
    Difference(
        "Names",
        "are looked up in threads of the loop's own, unless the program has set a default executor "
        "or the loop is in debug mode: calls that block the executor hold up no connection, and "
        "the end of a loop does not wait for a name server that does not answer.",
        looks_names_up_in_the_executor,
        True,
        False,
    ),
    Difference(
        "Accepted connections",
        "without TLS get their protocol at once: the factory is called as the connection is "
        "accepted and ``connection_made()`` in the next turn, where asyncio makes a task for each.",
        factory_runs_in_a_task,
        True,
        False,
    ),
    Difference(
        "Reports of failed protocols",
        "name ``protocol`` and ``transport`` also where ``datagram_received()``, "
        "``error_received()`` or a pipe's ``data_received()`` raises; asyncio's name the handle "
        "that the loop had for it.",
        keys_of_a_failed_datagram_received,
        ["exception", "handle", "message"],
        ["exception", "message", "protocol", "transport"],
    ),
    Difference(
        "Signals that come just before a wait",
        "end it, where with asyncio Ctrl-C can be heard late. Up to Python 3.12 a loop that runs "
        "on the main thread has ``signal.set_wakeup_fd()`` for it, which asyncio sets with "
        "``add_signal_handler()`` alone; from 3.13 on nobody sees it.",
        wakeup_descriptor_of_a_run,
        False,
        True,
        before=(3, 13),
    ),
    Difference(
        "Devices that cannot be watched",
        "as ``/dev/null`` are read from by ``connect_read_pipe()`` all the same, once; asyncio "
        "reports PermissionError and calls the protocol no more.",
        device_that_cannot_be_watched,
        "PermissionError",
        "its end",
    ),
    Difference(
        "TCP_NODELAY",
        "is also set on connections of a socket that was made without a protocol number.",
        no_delay_without_a_protocol_number,
        False,
        True,
    ),
    Difference(
        "Wrong types",
        "``write()`` of a pipe transport raises TypeError, where asyncio asserts.",
        error_of_text_into_a_pipe,
        "AssertionError",
        "TypeError",
    ),
    Difference(
        "The end of a pipe",
        "whose protocol has no ``eof_received()`` is reported, and the pipe closed; asyncio's "
        "stays open, and ``connection_lost()`` is never called.",
        end_of_pipe_without_eof_received,
        False,
        True,
    ),
    Difference(
        "Contexts",
        "``resume_writing()``, and ``connection_lost()`` after a ``close()`` that had to wait, run "
        "in the context of the connection, as its other calls and as all of them do from Python "
        "3.15 on; asyncio's before that in the one of the ``write()`` that the kernel had no room "
        "for.",
        context_of_resume_writing,
        "of the write()",
        "of the connection",
        before=(3, 15),
    ),
    Difference(
        "Descriptors of pipe transports",
        "are theirs, as those of sockets are: ``add_reader()`` and the like raise RuntimeError, "
        "where asyncio's take the transport's place.",
        reader_beside_a_pipe,
        "ended it",
        "RuntimeError",
    ),
    Difference(
        "Child watchers",
        "that a program has set (up to Python 3.13) are not asked: the loop hears of the end of "
        "its children by descriptors of theirs.",
        child_with_a_watcher_that_does_not_work,
        "RuntimeError",
        "ended with 0",
        before=(3, 14),
    ),
    Difference(
        "Coroutine functions",
        "``sock_recv()`` and the other ``sock_`` methods return coroutines (of their own "
        "type), but ``inspect.iscoroutinefunction()`` does not know it, nor do ``iscoroutine()`` "
        "and the functions that look into one.",
        is_a_coroutine_function,
        True,
        False,
    ),
    Difference(
        "A refused close()",
        "of a transport, or ``abort()``, which debug mode refuses in another thread, has done "
        "nothing: the transport can be closed as before, where asyncio's never can again.",
        can_be_closed_after_a_refusal,
        False,
        True,
    ),
    Difference(
        "Pauses of reading",
        "cost no system calls where nothing came in meanwhile. asyncio's take the descriptor out "
        "of the kernel's set and put it in again, so that it also hears of another file that "
        "``dup2()`` has put there; ours does so once the transport waits for something else.",
        hears_of_another_file_when_resumed,
        True,
        False,
    ),
    Difference(
        "After the end",
        "``abort()`` of a pipe transport and ``sendto()`` do nothing, as they do on other "
        "transports and when they are called a turn earlier; asyncio's raise AttributeError.",
        abort_of_a_closed_pipe,
        "AttributeError",
        "nothing",
    ),
    Difference(
        "Handles of files",
        "that transports and servers read, write or accept from are not there: an "
        "``asyncio.Handle._run()`` that a program has put into the class is called for what "
        "``call_soon()`` and the like have scheduled, from the next turn on, and for nothing else.",
        runs_data_received_by_a_handle,
        True,
        False,
    ),
    Difference(
        "Undocumented attributes",
        "of asyncio's transports: ``_buffer`` is a copy, ``_sock`` takes no socket of another "
        "descriptor, what is put in the place of ``max_size`` or ``_read_ready()`` is not asked "
        "(one read is at most 256 KiB), and steps, as ``_read_ready__data_received()``, are not "
        "there. ``loop._selector.select()`` is called only where a program has put its own there.",
        has_steps,
        True,
        False,
    ),
    *SHOWING["differences"](Difference),
]


def generated() -> str:
    """The list as the page has it."""
    paragraphs = []
    for difference in DIFFERENCES:
        text = textwrap.fill(difference.text, 100, initial_indent="    ", subsequent_indent="    ")
        paragraphs.append(f"{difference.title}\n{text}\n")
    return "\n".join([BEGIN, *paragraphs, END])


def rewritten(page: str) -> str:
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + generated() + after


@pytest.mark.without_debug
@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: difference.title)
@pytest.mark.parametrize("name", ["asyncio", "fastaio"])
def test_difference(difference: Difference, name: str) -> None:
    if sys.version_info >= difference.before:
        pytest.skip("no difference on this version of Python")
    factory = {"asyncio": asyncio.SelectorEventLoop, "fastaio": fastaio.new_event_loop}[name]
    with asyncio.Runner(loop_factory=factory) as runner:
        assert runner.run(difference.show()) == getattr(difference, name)


def test_gathered_output_is_seen_by_nobody() -> None:
    """What close() says is the same: it sends first."""
    for factory in (asyncio.SelectorEventLoop, fastaio.new_event_loop):
        with asyncio.Runner(loop_factory=factory) as runner:
            assert runner.run(arrived_within_close()) is True


def test_page_says_so() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page.count(BEGIN) == page.count(END) == 1
    assert rewritten(page) == page, "run: python tests/asyncio/test_differences.py"


if __name__ == "__main__":
    PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"{len(DIFFERENCES)} differences in {PAGE}")
