"""The rows that need no peer: callbacks, timers, tasks, and calls that leave the loop.

    python -m benchmarks.micro.inside LOOP ROW      prints CPU microseconds an operation

A row prepares itself and returns how many operations its run does, and the run.
"""

import asyncio
import gc
import resource
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable

from benchmarks.micro.loops import factory

Loop = asyncio.AbstractEventLoop
Run = Callable[[], object]
Row = Callable[[Loop], tuple[int, Run]]

ROWS: dict[str, Row] = {}
REPEATS = 3
FILE_SIZE = 1 << 20


def row(name: str) -> Callable[[Row], Row]:
    def add(function: Row) -> Row:
        ROWS[name] = function
        return function

    return add


def nothing() -> None:
    pass


def coroutine_row(name: str, count: int) -> Callable[[Callable[[int], Awaitable[None]]], object]:
    """A row whose run is a coroutine function that is told how often to do its operation."""

    def add(function: Callable[[int], Awaitable[None]]) -> object:
        def prepare(loop: Loop) -> tuple[int, Run]:
            return count, lambda: loop.run_until_complete(function(count))

        ROWS[name] = prepare
        return function

    return add


# -- callbacks and timers ---------------------------------------------------------------------


@row("call_soon, one a turn")
def call_soon_chain(loop: Loop) -> tuple[int, Run]:
    count = 200_000
    left = 0

    def step() -> None:
        nonlocal left
        left -= 1
        if left:
            loop.call_soon(step)
        else:
            loop.stop()

    def run() -> None:
        nonlocal left
        left = count
        loop.call_soon(step)
        loop.run_forever()

    return count, run


@row("call_soon, 1,000 a turn")
def call_soon_many(loop: Loop) -> tuple[int, Run]:
    turns, batch = 200, 1000
    left = 0

    def turn() -> None:
        nonlocal left
        left -= 1
        for _ in range(batch - 1):
            loop.call_soon(nothing)
        if left:
            loop.call_soon(turn)
        else:
            loop.stop()

    def run() -> None:
        nonlocal left
        left = turns
        loop.call_soon(turn)
        loop.run_forever()

    return turns * batch, run


@row("call_soon_threadsafe")
def call_soon_threadsafe(loop: Loop) -> tuple[int, Run]:
    count = 100_000

    def run() -> None:
        for _ in range(count):
            loop.call_soon_threadsafe(nothing)
        loop.call_soon(loop.stop)
        loop.run_forever()

    return count, run


@row("timer, replace one of 10,000")
def timer_replace(loop: Loop) -> tuple[int, Run]:
    pending = 10_000
    count = 200_000
    handles = [loop.call_later(600 + i / pending, nothing) for i in range(pending)]

    def run() -> None:
        for i in range(count):
            at = i % pending
            handles[at].cancel()
            handles[at] = loop.call_later(600 + at / pending, nothing)
        loop.call_soon(loop.stop)
        loop.run_forever()

    return count, run


@row("timer, 1,000,000 pending then cancelled")
def timer_million(loop: Loop) -> tuple[int, Run]:
    count = 1_000_000

    def run() -> None:
        handles = [loop.call_later(600 + i % 977, nothing) for i in range(count)]
        for handle in handles:
            handle.cancel()
        loop.call_soon(loop.stop)
        loop.run_forever()

    return count, run


@row("timer, 100,000 fire")
def timer_fire(loop: Loop) -> tuple[int, Run]:
    count = 100_000
    left = 0

    def fired() -> None:
        nonlocal left
        left -= 1
        if not left:
            loop.stop()

    def run() -> None:
        nonlocal left
        left = count
        start = loop.time()
        for i in range(count):
            loop.call_at(start + (i * 7919 % count) * 1e-6, fired)
        loop.run_forever()

    return count, run


# -- tasks ------------------------------------------------------------------------------------


@coroutine_row("sleep(0)", 200_000)
async def sleep_zero(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def done() -> None:
    pass


@coroutine_row("create_task + await", 100_000)
async def create_task(count: int) -> None:
    loop = asyncio.get_running_loop()
    for _ in range(count):
        await loop.create_task(done())


@coroutine_row("gather of 1,000, each", 100_000)
async def gather(count: int) -> None:
    for _ in range(count // 1000):
        await asyncio.gather(*(done() for _ in range(1000)))


@coroutine_row("Future ping-pong", 100_000)
async def future_ping_pong(count: int) -> None:
    loop = asyncio.get_running_loop()
    ping, pong = loop.create_future(), loop.create_future()

    async def answer() -> None:
        nonlocal ping
        for _ in range(count):
            await ping
            ping = loop.create_future()
            pong.set_result(None)

    task = loop.create_task(answer())
    for _ in range(count):
        ping.set_result(None)
        await pong
        pong = loop.create_future()
    await task


@coroutine_row("Queue ping-pong", 50_000)
async def queue_ping_pong(count: int) -> None:
    ping: asyncio.Queue[int] = asyncio.Queue()
    pong: asyncio.Queue[int] = asyncio.Queue()

    async def answer() -> None:
        for _ in range(count):
            await pong.put(await ping.get())

    task = asyncio.create_task(answer())
    for number in range(count):
        await ping.put(number)
        await pong.get()
    await task


@coroutine_row("Event ping-pong", 50_000)
async def event_ping_pong(count: int) -> None:
    ping, pong = asyncio.Event(), asyncio.Event()

    async def answer() -> None:
        for _ in range(count):
            await ping.wait()
            ping.clear()
            pong.set()

    task = asyncio.create_task(answer())
    for _ in range(count):
        ping.set()
        await pong.wait()
        pong.clear()
    await task


@coroutine_row("TaskGroup of 10, each", 50_000)
async def task_group(count: int) -> None:
    for _ in range(count // 10):
        async with asyncio.TaskGroup() as group:
            for _ in range(10):
                group.create_task(done())


@coroutine_row("asyncio.timeout", 50_000)
async def timeout(count: int) -> None:
    for _ in range(count):
        async with asyncio.timeout(10):
            await asyncio.sleep(0)


# The trees of pyperformance's async_tree: 6 levels of 6 branches, each node gathering its branches.
TREE_LEVELS, TREE_BRANCHES = 6, 6
TREE_NODES = sum(TREE_BRANCHES**level for level in range(TREE_LEVELS + 1))
TREE_WAIT = 0.05


async def tree(leaf: Callable[[int], Awaitable[None]], level: int, number: int) -> None:
    if level == 0:
        await leaf(number)
        return
    await asyncio.gather(
        *(tree(leaf, level - 1, number * TREE_BRANCHES + i) for i in range(TREE_BRANCHES))
    )


async def leaf_none(number: int) -> None:
    pass


async def leaf_io(number: int) -> None:
    await asyncio.sleep(TREE_WAIT)


async def leaf_mixed(number: int) -> None:
    if number % 2:
        await asyncio.sleep(TREE_WAIT)


def add_tree(name: str, leaf: Callable[[int], Awaitable[None]]) -> None:
    @row(f"async_tree {name}, a task")
    def prepare(loop: Loop) -> tuple[int, Run]:
        return TREE_NODES, lambda: loop.run_until_complete(tree(leaf, TREE_LEVELS, 0))


add_tree("none", leaf_none)
add_tree("io", leaf_io)
add_tree("mixed", leaf_mixed)


# -- calls that leave the loop ----------------------------------------------------------------


@coroutine_row("to_thread", 5_000)
async def to_thread(count: int) -> None:
    for _ in range(count):
        await asyncio.to_thread(nothing)


@coroutine_row("run_in_executor, 100 at once", 5_000)
async def run_in_executor(count: int) -> None:
    loop = asyncio.get_running_loop()
    for _ in range(count // 100):
        await asyncio.gather(*(loop.run_in_executor(None, nothing) for _ in range(100)))


@coroutine_row("streams, receive 1 MiB whole, 10 at once", 200)
async def receive_whole(count: int) -> None:
    body = bytes(1 << 20)

    async def send(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(body)
        await writer.drain()
        writer.close()

    async def receive(port: int) -> None:
        for _ in range(count // 10):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert len(await reader.read()) == len(body)
            writer.close()

    server = await asyncio.start_server(send, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        await asyncio.gather(*(receive(port) for _ in range(10)))


@coroutine_row("getaddrinfo, numeric", 5_000)
async def getaddrinfo(count: int) -> None:
    loop = asyncio.get_running_loop()
    for _ in range(count):
        await loop.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM)


@coroutine_row("getaddrinfo, localhost", 2_000)
async def getaddrinfo_name(count: int) -> None:
    loop = asyncio.get_running_loop()
    for _ in range(count):
        await loop.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM)


@coroutine_row("spawn /bin/true and wait", 100)
async def spawn(count: int) -> None:
    for _ in range(count):
        process = await asyncio.create_subprocess_exec("/bin/true")
        await process.wait()


@coroutine_row("sock_connect and sock_accept", 3_000)
async def sock_connect(count: int) -> None:
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        address = listener.getsockname()
        for _ in range(count):
            with socket.socket() as client:
                client.setblocking(False)
                await loop.sock_connect(client, address)
                accepted, _ = await loop.sock_accept(listener)
                accepted.close()


@coroutine_row("sock_sendfile of 1 MiB", 200)
async def sock_sendfile(count: int) -> None:
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    with ours, theirs, tempfile.TemporaryFile() as file:
        file.write(bytes(FILE_SIZE))
        file.flush()
        ours.setblocking(False)
        theirs.setblocking(False)
        room = bytearray(FILE_SIZE)

        async def drain() -> None:
            left = FILE_SIZE * count
            while left:
                left -= await loop.sock_recv_into(theirs, room)

        task = asyncio.create_task(drain())
        for _ in range(count):
            await loop.sock_sendfile(ours, file)
            file.seek(0)
        await task


def measured(run: Run, count: int) -> float:
    """CPU microseconds an operation, of this process and of its children."""
    gc.collect()
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    before = time.process_time_ns()
    run()
    used = (time.process_time_ns() - before) / 1e3
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used += (after.ru_utime + after.ru_stime - children.ru_utime - children.ru_stime) * 1e6
    return used / count


def make_and_close(loop_name: str) -> float:
    """A loop made, run for one callback, and closed."""
    make = factory(loop_name)
    count = 300

    def run() -> None:
        for _ in range(count):
            loop = make()
            loop.call_soon(loop.stop)
            loop.run_forever()
            loop.close()

    return statistics.median(measured(run, count) for _ in range(REPEATS))


CREATION = "loop made, run once, closed"
NAMES = (*ROWS, CREATION)


def main() -> None:
    loop_name, name = sys.argv[1:]
    if name == CREATION:
        print(make_and_close(loop_name))
        return
    with asyncio.Runner(loop_factory=factory(loop_name)) as runner:
        loop = runner.get_loop()
        asyncio.set_event_loop(loop)
        count, run = ROWS[name](loop)
        print(statistics.median(measured(run, count) for _ in range(REPEATS)))


if __name__ == "__main__":
    main()
