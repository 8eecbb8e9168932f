"""Code of the program's that runs in odd places of csrc/loop (repr(), finalizers, overridden
methods, other threads) and there closes, frees or runs what is being worked with."""

import _socket
import asyncio
import contextvars
import gc
import subprocess
import sys
import textwrap
import threading
import warnings
import weakref

import pytest

import fastaio


class File:
    """Something with a descriptor and a finalizer."""

    def __init__(self, fd, end=None):
        self.fd = fd
        self.end = end

    def fileno(self):
        return self.fd

    def __del__(self):
        if self.end is not None:
            self.end()


def run_code(code):
    """Runs a program; its output. Whatever kills it fails the test."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


# -- descriptors -----------------------------------------------------------------------------------


def test_another_file_of_a_registered_descriptor(loop, pair):
    """The first is kept, as asyncio's selector keeps it: its end runs in no registration."""
    ours, theirs = pair
    called = []
    loop.add_reader(File(ours.fileno(), lambda: loop.remove_reader(ours.fileno())), print)
    loop.add_reader(ours, lambda: called.append(ours.recv(1)) or loop.stop())
    theirs.send(b"x")
    loop.run_forever()
    assert called == [b"x"]
    assert loop.remove_reader(ours) is True
    assert loop.remove_reader(ours) is False


def test_a_file_whose_end_closes_the_loop(pair):
    loop = fastaio.new_event_loop()
    loop.add_reader(File(pair[0].fileno(), loop.close), print)
    loop.add_reader(pair[0].fileno(), print)
    loop.remove_reader(pair[0].fileno())
    assert loop.is_closed()


def test_a_registration_that_is_over_keeps_nothing(pair):
    loop = fastaio.new_event_loop()
    file = File(pair[0].fileno())
    file.loop = loop
    gone = weakref.ref(file)
    loop.add_reader(file, print)
    loop.remove_reader(file)
    del file
    assert gone() is None
    loop.close()


def test_a_repr_that_ends_the_transport_in_the_way(loop, pair):
    ours, _ = pair
    transports = []

    class Odd(File):
        def __repr__(self):
            transports.pop().abort()
            loop.run_until_complete(asyncio.sleep(0))
            gc.collect()
            return "odd"

    async def connect():
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
        transports.append(transport)

    loop.run_until_complete(connect())
    with pytest.raises(RuntimeError, match="odd is used by transport <Transport closed"):
        loop.add_reader(Odd(ours.fileno()), print)


def test_a_cancelled_reader_whose_end_removes_the_writer(loop, pair):
    ours, theirs = pair
    var = contextvars.ContextVar("var")
    fastaio.allow_nested(loop)
    ended = []

    class Value:
        def __del__(self):
            loop.remove_writer(ours)
            loop.run_until_complete(asyncio.sleep(0.001))
            ended.append(None)

    def register():
        var.set(Value())
        return loop._add_reader(ours.fileno(), print)

    async def main():
        handle = contextvars.copy_context().run(register)
        loop.add_writer(ours, int)
        theirs.send(b"x")
        handle.cancel()
        del handle
        while not ended:
            await asyncio.sleep(0)

    loop.run_until_complete(main())


# -- sock_ calls -----------------------------------------------------------------------------------


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_call_whose_arguments_run_the_loop_when_they_go(loop, pair, by_hand):
    ours, theirs = pair
    fastaio.allow_nested(loop)
    ran = []
    with pytest.raises(BlockingIOError):
        while True:
            ours.send(bytes(65536))

    class Data(bytearray):
        def __del__(self):
            if by_hand:
                loop._run_once()
            else:
                loop.run_until_complete(asyncio.sleep(0))
            ran.append(None)

    def drain():
        with pytest.raises(BlockingIOError):
            while True:
                theirs.recv(1 << 20)
        loop.call_soon(close)  # in front of what the next poll finds

    def close():
        nonlocal coroutine
        coroutine.close()
        coroutine = None

    async def main():
        nonlocal coroutine
        coroutine = loop.sock_sendall(ours, Data(10))
        coroutine.send(None)
        await asyncio.sleep(0.001)
        loop.call_soon(drain)
        while not ran:
            await asyncio.sleep(0)

    coroutine = None
    loop.run_until_complete(main())


# -- runs ------------------------------------------------------------------------------------------


def test_a_time_that_raises_where_the_loop_would_wait():
    class Odd(fastaio.Loop):
        broken = False

        def time(self):
            if self.broken:
                raise ZeroDivisionError
            return super().time()

    loop = Odd()
    loop.call_later(3600, print)
    loop.call_later(0.001, setattr, loop, "broken", True)
    with pytest.raises(ZeroDivisionError):
        loop.run_forever()
    loop.broken = False
    loop.close()


def test_an_attribute_that_closes_the_loop_which_looks_it_up():
    class Odd(fastaio.Loop):
        closes = False

        @property
        def time(self):
            if self.closes:
                self.close()
            return lambda: 0.0

    loop = Odd()
    loop.closes = True
    with pytest.raises(RuntimeError, match="Cannot close a running event loop"):
        loop.run_forever()
    loop.closes = False
    assert not loop.is_running()
    loop.close()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop._run()


def test_closing_from_a_turn_by_hand(loop):
    errors = []

    def close():
        try:
            loop.close()
        except RuntimeError as exc:
            errors.append(str(exc))

    loop.call_soon(close)
    loop._run_once()
    assert errors == ["Cannot close a running event loop"]


def test_two_threads_run_one_loop():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    refused = []

    def run(loop, barrier):
        barrier.wait()
        try:
            loop.run_forever()
        except RuntimeError as exc:
            refused.append(str(exc))

    try:
        for _ in range(200):
            loop = fastaio.new_event_loop()
            barrier = threading.Barrier(2)
            threads = [threading.Thread(target=run, args=(loop, barrier)) for _ in range(2)]
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads):
                loop.call_soon_threadsafe(loop.stop)
                threads[0].join(0.001)
            loop.close()
    finally:
        sys.setswitchinterval(before)
    assert set(refused) <= {"This event loop is already running"}


# -- memory ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["call_soon", "call_later"])
def test_a_chain_of_handles(loop, method):
    """Each is the argument of the next, so that the end of the last is the end of all."""
    delay = () if method == "call_soon" else (1000,)
    handle = getattr(loop, method)(*delay, int)
    for _ in range(200_000):
        handle.cancel() if method == "call_later" else None
        handle = loop._new_handle(int, handle)
    del handle
    loop.call_soon(loop.stop)
    loop.run_forever()


@pytest.mark.parametrize(
    "make",
    [
        "handle = loop._new_handle(print, 1); keep = [handle]; keep.append(keep); loop.close()",
        "loop.call_soon(print, loop)",
        "loop.call_later(100, print, loop)",
        "loop.call_soon(int); loop._run_once()",
    ],
)
def test_a_module_that_goes_before_its_loops(make):
    assert (
        run_code(f"""
        import gc, sys
        import fastaio._core as core
        gc.disable()
        loop = core.Loop()
        def go():
            {make}
        go()
        for name in [name for name in sys.modules if name.startswith("fastaio")]:
            del sys.modules[name]
        del core, loop, go
        gc.collect()
        gc.collect()
        print("done")
    """)
        == "done\n"
    )


@pytest.mark.parametrize("free", range(8))
def test_out_of_descriptors_at_the_first_wait(free):
    """Before the process has waited for anything: what all loops share is there all the same."""
    assert (
        run_code(f"""
        import asyncio, fastaio, os, resource
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        loop = fastaio.Loop()
        files = []
        try:
            while True:
                files.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            pass
        for _ in range({free}):
            os.close(files.pop())
        loop.run_until_complete(asyncio.sleep(0.001))
        for fd in files:
            os.close(fd)
        loop.close()
        print("ran")
    """)
        == "ran\n"
    )


def test_what_the_collector_has_cleared_can_be_used(loop):
    """Found by gc.get_objects() out of code that runs while it clears: a warning of a socket."""
    found = []
    kind = type(loop._new_handle(int))

    def find(*args, **keywords):
        handles = [each for each in gc.get_objects() if type(each) is kind]
        found.extend(each for each in handles if each._loop is loop)

    def make():
        unclosed = _socket.socket()
        cycle = [loop._new_handle(int, 1), loop._new_handle(int, unclosed)]
        cycle.append(cycle)

    gc.collect()
    gc.disable()
    try:
        make()
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning = find
            gc.collect()
    finally:
        gc.enable()
    assert found or sys.version_info >= (3, 12)  # where the order of clearing is another
    reports = []
    loop.set_exception_handler(lambda _, context: reports.append(context["handle"]))
    for handle in found:
        repr(handle), handle.get_context()
        handle._run()  # it has no context any more
    assert reports == found


# -- descriptors that are all closed ---------------------------------------------------------------

DAEMON = """
    import asyncio, fastaio, os, sys
    loop = fastaio.Loop()
    for _ in range(2):
        loop.run_until_complete(asyncio.sleep(0.001))
    pid = os.fork()
    if pid == 0:
        os.closerange(3, 256)
        {child}
        sys.exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


@pytest.mark.parametrize(
    "child",
    [
        "pass",
        "loop.close()",
        "new = fastaio.Loop(); new.run_until_complete(asyncio.sleep(0.001)); new.close()",
        "[os.open('/dev/null', os.O_RDONLY) for _ in range(20)]; loop.close()",
    ],
)
def test_a_daemon_closes_what_it_inherits(child):
    assert run_code(DAEMON.format(child=child)) == "0\n"


@pytest.mark.parametrize(
    "act",
    [
        "loop.close()",
        "loop.call_soon_threadsafe(int); loop.close()",
        "check(lambda: loop.run_until_complete(asyncio.sleep(0.001)))",
        "loop.call_soon(os.closerange, 3, 256); check(loop.run_forever)",
    ],
)
def test_a_program_closes_everything(act):
    """Where it runs the loop after that, the error is that of the wait, as with asyncio."""
    assert (
        run_code(f"""
        import asyncio, fastaio, os
        def check(run):
            try:
                run()
            except OSError as exc:
                assert exc.errno == 9
            else:
                raise AssertionError
        loop = fastaio.Loop()
        for _ in range(2):
            loop.run_until_complete(asyncio.sleep(0.001))
        os.closerange(3, 256)
        {act}
        print("lives")
    """)
        == "lives\n"
    )
