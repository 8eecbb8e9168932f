"""A forked child: its own loop, and the one it inherits."""

import asyncio
import multiprocessing
import os
import signal
import socket
import threading
import traceback
import warnings

import pytest


def fork(child):
    """Fork; the child calls child() and ends, with 1 where that raised. Returns its pid."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12: there may be other threads
        pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        child()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def status_of(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class EchoServer:
    """Answers what it gets; at its end all its connections have ended."""

    async def __aenter__(self):
        self.connections = []
        self.server = await asyncio.start_server(self.echo, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def echo(self, reader, writer):
        self.connections.append(asyncio.current_task(self.server.get_loop()))
        while data := await reader.read(4096):
            writer.write(data)
        writer.close()
        await writer.wait_closed()

    async def talk(self, data=b"hello"):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        answer = await reader.readexactly(len(data))
        writer.close()
        await writer.wait_closed()
        assert answer == data

    async def __aexit__(self, *exc):
        self.server.close()
        await asyncio.gather(*self.connections)
        await self.server.wait_closed()


async def serve_and_talk():
    async with EchoServer() as server:
        await server.talk()
        await asyncio.sleep(0.001)
        assert await asyncio.to_thread(lambda: 7) == 7


def run_new(loop_factory):
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(serve_and_talk())


def test_the_child_has_no_running_loop(run):
    async def main():
        def child():
            assert asyncio._get_running_loop() is None

        assert status_of(fork(child)) == 0
        assert asyncio.get_running_loop().is_running()

    run(main())


def test_a_new_loop_in_a_child_of_a_running_one(run, loop_factory):
    async def main():
        async with EchoServer() as server:
            await server.talk()
            pid = fork(lambda: run_new(loop_factory))
            await server.talk()
            assert status_of(pid) == 0
            await server.talk()

    run(main())


@pytest.mark.parametrize("threads", [0, 2])
def test_a_new_loop_in_a_child_of_multiprocessing(run, loop_factory, threads):
    async def main():
        if threads:
            await asyncio.gather(*[asyncio.to_thread(int) for _ in range(threads)])
        process = multiprocessing.get_context("fork").Process(target=run_new, args=(loop_factory,))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            process.start()
        process.join()
        assert process.exitcode == 0

    run(main())


def test_a_child_of_another_thread(run, loop_factory):
    async def main():
        # The loop waits in its poll while the thread forks.
        pid = await asyncio.to_thread(fork, lambda: run_new(loop_factory))
        assert await asyncio.to_thread(status_of, pid) == 0

    run(main())


def test_signals_of_the_child_are_the_childs(run, loop_factory):
    heard = []

    async def child():
        got = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, got.set)
        os.kill(os.getpid(), signal.SIGUSR1)
        await got.wait()

    def run_child():
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(child())

    async def main():
        loop = asyncio.get_running_loop()
        got = asyncio.Event()
        loop.add_signal_handler(signal.SIGUSR1, lambda: (heard.append(1), got.set()))
        assert status_of(fork(run_child)) == 0
        await asyncio.sleep(0)
        assert heard == []
        os.kill(os.getpid(), signal.SIGUSR1)
        await got.wait()
        assert heard == [1]

    run(main())


def test_a_subprocess_in_the_child(run, loop_factory):
    async def child():
        process = await asyncio.create_subprocess_exec("true")
        assert await process.wait() == 0

    def run_child():
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(child())

    async def main():
        assert status_of(fork(run_child)) == 0

    run(main())


def test_an_idle_loop_goes_on_in_the_child(loop):
    seen = []
    loop.call_soon(seen.append, "soon")
    loop.call_later(0.001, seen.append, "later")
    loop.call_later(0.002, loop.stop)

    def child():
        thread = threading.Thread(target=loop.call_soon_threadsafe, args=(seen.append, "thread"))
        thread.start()
        thread.join()
        loop.run_forever()
        assert sorted(seen) == ["later", "soon", "thread"]
        loop.run_until_complete(serve_and_talk())
        loop.close()

    assert status_of(fork(child)) == 0
    loop.run_forever()
    assert seen == ["soon", "later"]
    loop.run_until_complete(serve_and_talk())


def test_an_idle_loop_serves_in_the_child(loop):
    """As programs do that become daemons: what was set up before the fork works after it."""
    server = EchoServer()
    loop.run_until_complete(server.__aenter__())
    watched, other = socket.socketpair()
    watched.setblocking(False)
    loop.add_reader(watched, loop.stop)

    pid = fork(loop.run_forever)
    with socket.create_connection(("127.0.0.1", server.port)) as sock:
        sock.sendall(b"hello")
        assert sock.recv(100) == b"hello"
    other.send(b"x")
    assert status_of(pid) == 0
    loop.remove_reader(watched)
    watched.close()
    other.close()
    loop.run_until_complete(server.__aexit__())


def test_the_inherited_loop_is_closed(loop):
    """Whose own end is not felt by the parent is shown in tests/unit/loop/test_fork.py."""
    loop.call_soon(print)

    def child():
        loop.close()
        assert loop.is_closed()
        with pytest.raises(RuntimeError, match="Event loop is closed"):
            loop.call_soon(print)

    assert status_of(fork(child)) == 0
    loop.run_until_complete(serve_and_talk())


def test_a_child_writes_to_a_connection_before_it_ends(run):
    async def main():
        ours, theirs = socket.socketpair()
        transport, _ = await asyncio.get_running_loop().create_connection(
            asyncio.Protocol, sock=ours
        )
        transport.write(b"parent ")
        assert status_of(fork(lambda: transport.write(b"child "))) == 0
        transport.close()
        await asyncio.sleep(0)
        with theirs:
            assert theirs.recv(100) == b"parent child "

    run(main())
