"""Memory of the loop after many rounds of callbacks, timers, readers, sockets and signals."""

import asyncio
import gc
import itertools
import resource
import socket
import sys
import threading

import pytest

import fastaio

# Rounds of one batch; batches until caches and freelists are full; blocks left over by chance.
ROUNDS = 150
WARM_UP = 5
TOLERATED = 60


async def callbacks(loop):
    loop.call_soon(int)
    loop.call_soon(max, 1, 2, 3, 4, 5).cancel()
    loop.call_soon_threadsafe(int)
    loop.call_soon(loop._new_handle, int)
    await asyncio.sleep(0)


async def failures(loop):
    loop.set_exception_handler(lambda loop, context: None)
    loop.call_soon(lambda: 1 / 0)
    loop.call_soon(int, "x")
    await asyncio.sleep(0)
    for bad in (lambda: loop.call_soon(), lambda: loop.call_later("x", int)):
        with pytest.raises(TypeError):
            bad()
    with pytest.raises(ValueError):
        loop.add_reader(-1, int)


async def timers(loop):
    for delay in (0, 0.00001, 1000, 1000):
        handle = loop.call_later(delay, int)
    handle.cancel()
    loop.call_at(10**9, int).cancel()
    loop._scheduled[-1].cancel()
    await asyncio.sleep(0.00002)
    for handle in loop._scheduled:
        handle.cancel()


async def names(loop):
    tasks = [loop.create_task(loop.getaddrinfo("localhost", 80)) for _ in range(3)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    await tasks[1]
    with pytest.raises(socket.gaierror):
        await loop.getaddrinfo("localhost", "no-such-service")
    await asyncio.wait(tasks)


async def tasks(loop):
    async def wait(event):
        await event.wait()

    event = asyncio.Event()
    waiting = [loop.create_task(wait(event), name="x") for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    event.set()
    await asyncio.gather(*waiting, return_exceptions=True)
    loop.set_task_factory(lambda loop, coroutine: asyncio.Task(coroutine, loop=loop))
    await loop.create_task(asyncio.sleep(0))
    loop.set_task_factory(None)


async def readers(loop):
    a, b = socket.socketpair()
    with a, b:
        future = loop.create_future()
        loop.add_reader(a, lambda: future.done() or future.set_result(None))
        loop.add_writer(a, int)
        loop.add_reader(b, int)
        b.send(b"x")
        await future
        for end in (a, b):
            loop.remove_reader(end)
            loop.remove_writer(end)


async def forgotten_readers(loop):
    a, b = socket.socketpair()
    with a, b:
        loop.add_reader(a, int)
        loop.add_writer(b, int)
        await asyncio.sleep(0)


async def sockets(loop):
    a, b = socket.socketpair()
    with a, b:
        a.setblocking(False)
        b.setblocking(False)
        task = loop.create_task(loop.sock_recv(a, 10))
        cancelled = loop.create_task(loop.sock_recv_into(b, bytearray(10)))
        await asyncio.sleep(0)
        cancelled.cancel()
        await loop.sock_sendall(b, b"x")
        await task
        await asyncio.sleep(0)
        loop.sock_recv(a, 5).close()
        with pytest.raises(ValueError):
            await loop.sock_recv(a, -1)


async def datagrams(loop):
    a, b = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    with a, b:
        for end in (a, b):
            end.setblocking(False)
            end.bind(("127.0.0.1", 0))
        task = loop.create_task(loop.sock_recvfrom(b, 10))
        cancelled = loop.create_task(loop.sock_recvfrom_into(a, bytearray(10)))
        await asyncio.sleep(0)
        cancelled.cancel()
        await loop.sock_sendto(a, b"x", b.getsockname())
        await task
        await loop.sock_sendto(a, b"x", ("localhost", b.getsockname()[1]))
        await loop.sock_recvfrom_into(b, bytearray(10), 5)
        loop.sock_sendto(a, b"x", b.getsockname()).close()
        for call in (
            loop.sock_recvfrom(b, -1),
            loop.sock_recvfrom_into(b, b"read only"),
            loop.sock_recvfrom_into(b, bytearray(1), 2),
            loop.sock_sendto(a, b"x", ("127.0.0.1", -1)),
            loop.sock_sendto(a, "x", b.getsockname()),
            loop.sock_sendto(a, bytes(70_000), b.getsockname()),
        ):
            with pytest.raises((ValueError, TypeError, OverflowError, OSError)):
                await call


async def connections(loop):
    listener, client, late, refused = (socket.socket() for _ in range(4))
    with listener, client, late, refused:
        for sock in (listener, client, late, refused):
            sock.setblocking(False)
        listener.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionRefusedError):
            await loop.sock_connect(refused, listener.getsockname())
        listener.listen()
        task = loop.create_task(loop.sock_accept(listener))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        task = loop.create_task(loop.sock_accept(listener))
        await loop.sock_connect(client, listener.getsockname())
        (await task)[0].close()
        task = loop.create_task(loop.sock_connect(late, listener.getsockname()))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        for call in (loop.sock_accept(refused), loop.sock_connect(refused, ("127.0.0.1",))):
            with pytest.raises((ValueError, OSError)):
                await call
        if not loop.get_debug():
            client.settimeout(5)
            await loop.sock_connect(client, listener.getsockname())  # asks how it went, blocking


async def unix_connections(loop):
    """No names are looked up and no ports used up."""
    listener, client = (socket.socket(socket.AF_UNIX) for _ in range(2))
    with listener, client:
        for sock in (listener, client):
            sock.setblocking(False)
        listener.bind("")
        listener.listen()
        with pytest.raises(OSError):
            await loop.sock_connect(client, "/none/such")
        with pytest.raises(TypeError):
            await loop.sock_connect(client, 5)
        await loop.sock_connect(client, listener.getsockname())
        (await loop.sock_accept(listener))[0].close()


def run_round(loop, work):
    loop.run_until_complete(work(loop))


def blocks_after(work):
    """Memory blocks in use after each batch of rounds of `work()`."""
    counts = []
    for _ in range(WARM_UP + 2):
        for _ in range(ROUNDS):
            work()
        gc.collect()
        counts.append(sys.getallocatedblocks())
    return counts


def assert_flat(counts):
    """A leak shows in every batch; what others cache or drop meanwhile does not."""
    growth = [after - before for before, after in itertools.pairwise(counts)]
    assert min(growth[-2:]) < TOLERATED


@pytest.mark.parametrize(
    "work",
    [
        callbacks,
        failures,
        names,
        timers,
        tasks,
        readers,
        forgotten_readers,
        sockets,
        datagrams,
        connections,
        unix_connections,
    ],
)
@pytest.mark.parametrize("debug", [False, True])
def test_flat(work, debug):
    loop = fastaio.new_event_loop()
    loop.set_debug(debug)
    counts = blocks_after(lambda: run_round(loop, work))
    loop.close()
    assert_flat(counts)


def test_loops_themselves():
    def work():
        loop = fastaio.new_event_loop()
        loop.call_later(1000, int)
        loop.call_soon(int)
        loop.add_reader(loop._signal_wakeup_fd(), int)
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()

    assert_flat(blocks_after(work))


def test_memory_of_the_process_stays_flat():
    """What malloc gives, too: uv handles, watches, the heap's and the rings' arrays."""

    def work():
        loop = fastaio.new_event_loop()
        handles = [loop.call_later(1000, int) for _ in range(5000)]
        for _ in range(5000):
            loop.call_soon(int)
        thread = threading.Thread(target=lambda: loop.call_soon_threadsafe(loop.stop))
        thread.start()
        loop.run_forever()
        thread.join()
        del handles
        loop.close()

    for _ in range(30):
        work()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(60):
        work()
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert after - before < 1024  # KiB


def test_references_to_shared_objects():
    """Contexts, callbacks and arguments that every round uses again."""
    loop = fastaio.new_event_loop()
    argument = object()

    def callback(*args):
        pass

    def work():
        loop.call_soon(callback, argument)
        loop.call_soon(callback, *[argument] * 5)
        loop.call_later(1000, callback, argument).cancel()
        loop.call_later(0, callback, argument)
        loop.call_soon_threadsafe(callback, argument).cancel()
        loop.run_until_complete(asyncio.sleep(0))

    for _ in range(10):
        work()
    before = sys.getrefcount(callback), sys.getrefcount(argument), sys.getrefcount(loop)
    for _ in range(100):
        work()
    assert (sys.getrefcount(callback), sys.getrefcount(argument), sys.getrefcount(loop)) == before
    loop.close()
