"""csrc/loop/resolver.c: threads of the loop's own look names up."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
import weakref

import pytest

import fastaio

pytestmark = pytest.mark.without_debug


def sanitized() -> bool:
    with open("/proc/self/maps", encoding="utf-8") as maps:
        return "libasan" in maps.read()


#: Unlike glibc's, its allocator takes no part in fork(): a child may wait for ever for a lock that
#: a thread of the parent had.
forks_amid_look_ups = pytest.mark.skipif(sanitized(), reason="AddressSanitizer's allocator")


#: Python 3.12 and newer warn of a fork while there are threads, as these tests are about.
forks_among_threads = pytest.mark.filterwarnings("ignore:.*is multi-threaded:DeprecationWarning")


def kernel_threads() -> int:
    return len(os.listdir("/proc/self/task"))


def test_no_thread_of_python_s_is_asked():
    async def main():
        loop = asyncio.get_running_loop()
        await asyncio.gather(*[loop.getaddrinfo("localhost", 80) for _ in range(20)])
        assert loop._default_executor is None

    before = threading.active_count()
    fastaio.run(main())
    assert threading.active_count() == before


def test_one_at_a_time_takes_one_thread():
    async def main():
        loop = asyncio.get_running_loop()
        await loop.getaddrinfo("localhost", 80)
        before = kernel_threads()
        for _ in range(200):
            await loop.getaddrinfo("localhost", 80)
        return kernel_threads() - before

    assert fastaio.run(main()) <= 1


def test_threads_take_no_signals():
    """The kernel may give a process's signal to any thread that does not block it."""

    def blocked(task):
        with open(f"/proc/self/task/{task}/status", encoding="ascii") as status:
            return next(int(line.split()[1], 16) for line in status if line.startswith("SigBlk"))

    async def main():
        before = set(os.listdir("/proc/self/task"))
        await asyncio.get_running_loop().getaddrinfo("localhost", 80)
        return [blocked(task) for task in set(os.listdir("/proc/self/task")) - before]

    masks = fastaio.run(main())
    assert masks
    for mask in masks:
        assert mask >> (signal.SIGINT - 1) & 1 and mask >> (signal.SIGTERM - 1) & 1


def test_a_thread_that_cannot_be_started_is_one_of_the_executor_s():
    program = """
import asyncio, resource, sys
import fastaio

events = []
sys.addaudithook(lambda event, args: events.append(event))

async def main():
    loop = asyncio.get_running_loop()
    with open("/proc/self/statm") as sizes:
        used = int(sizes.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (4 << 20), -1))  # less than a stack
    print(loop._look_up("localhost", 80, 0, 1, 0, 0), events.count("socket.getaddrinfo"))

fastaio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("None 0\n", 0), done.stderr


def test_a_loop_with_questions_is_collected():
    loop = fastaio.new_event_loop()
    futures = [loop._look_up("localhost", 80, 0, 0, 0, 0) for _ in range(20)]
    gone = weakref.ref(loop), weakref.ref(futures[0])
    del loop, futures
    with pytest.warns(ResourceWarning, match="unclosed event loop"):
        gc.collect()
    assert [each() for each in gone] == [None, None]


def test_loops_closed_while_answers_come():
    async def ask(turns):
        loop = asyncio.get_running_loop()
        futures = [loop._look_up("localhost", 80, 0, 0, 0, 0) for _ in range(10)]
        await asyncio.wait(futures[: 1 + turns % 10], return_when=asyncio.FIRST_COMPLETED)
        return futures

    for turns in range(1, 60):
        loop = fastaio.new_event_loop()
        futures = loop.run_until_complete(ask(turns))
        loop.close()
        del loop, futures


@forks_among_threads
def test_a_forked_child_has_threads_of_its_own():
    async def main():
        loop = asyncio.get_running_loop()
        waiting = [asyncio.ensure_future(loop.getaddrinfo("localhost", 80)) for _ in range(20)]
        # None is being asked: glibc's getaddrinfo() itself may hold a lock, for ever in the child.
        await asyncio.wait(waiting)
        pid = os.fork()
        if pid == 0:
            found = await loop.getaddrinfo("localhost", 80)
            os._exit(42 if found else 1)
        found = await asyncio.gather(*waiting)
        assert all(found)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    assert fastaio.run(main()) == 42


def exit_code_of_a_child(child) -> int:
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)
        try:
            os._exit(child())
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@forks_among_threads
@forks_amid_look_ups
def test_a_forked_child_has_the_answers_that_came_before():
    async def main():
        loop = asyncio.get_running_loop()
        futures = [loop._look_up("localhost", 80, 0, 0, 0, 0) for _ in range(3)]
        # No turn is taken meanwhile; a child that was forked too early is ended.
        for _ in range(20):
            pid = os.fork()
            if pid == 0:
                signal.signal(signal.SIGALRM, signal.SIG_DFL)
                signal.setitimer(signal.ITIMER_REAL, 0.5)
                try:
                    for future in futures:
                        await future
                    os._exit(42)
                finally:
                    os._exit(1)
            if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 42:
                break
        else:
            raise AssertionError("the answers are not there")
        await asyncio.wait(futures)

    fastaio.run(main())


@forks_among_threads
@forks_amid_look_ups
def test_a_forked_child_keeps_nothing_of_what_was_asked():
    loop = fastaio.new_event_loop()
    futures = [loop._look_up("localhost", 80, 0, 0, 0, 0) for _ in range(500)]
    gone = [weakref.ref(future) for future in futures]

    def child():
        loop.close()
        futures.clear()
        gc.collect()
        return 42 if all(each() is None for each in gone) else 2

    assert exit_code_of_a_child(child) == 42
    loop.close()


@forks_among_threads
@forks_amid_look_ups
def test_a_fork_when_a_future_goes_with_the_loop():
    class Future(asyncio.Future):
        def __del__(self):
            codes.append(exit_code_of_a_child(lambda: 42))

    class Loop(fastaio.Loop):
        def create_future(self):
            return Future(loop=self)

    codes = []
    loop = Loop()
    for _ in range(30):
        loop._look_up("localhost", 80, 0, 0, 0, 0)
    loop.close()
    assert codes == [42] * 30


def test_answers_wake_a_select_of_a_program_s():
    class Loop(fastaio.Loop):
        def __init__(self):
            super().__init__()
            select = self._selector.select
            self._selector.select = lambda timeout: select(timeout)

    with asyncio.Runner(loop_factory=Loop) as runner:
        assert runner.run(runner.get_loop().getaddrinfo("localhost", 80))
