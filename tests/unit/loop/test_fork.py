"""csrc/loop/fork.c and fastaio/fork.py: whatever a child does with the loop it inherits, the parent
does not feel it. (On asyncio's loop it does: the two share an epoll set.)"""

import subprocess
import sys
import textwrap

import pytest

PROGRAM = """
import asyncio, gc, os, signal, socket, sys, threading
import fastaio

async def echo(reader, writer):
    while data := await reader.read(4096):
        writer.write(data)
    writer.close()
    await writer.wait_closed()

class Connections:
    async def open(self):
        self.server = await asyncio.start_server(echo, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        self.ends = [await self.connect() for _ in range(3)]

    def connect(self):
        return asyncio.open_connection("127.0.0.1", self.port)

    async def say(self, data):
        for _, writer in self.ends:
            writer.write(data)

    async def hear(self, data):
        for reader, _ in self.ends:
            got = await reader.readexactly(len(data))
            assert got == data, got

    async def close(self):
        self.ends.append(await self.connect())
        await self.say(b"last")
        await self.hear(b"last")
        for reader, writer in self.ends:
            writer.write_eof()
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()
        self.server.close()
        await self.server.wait_closed()

def status_of(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"""

RUNNING = (
    PROGRAM
    + """
parent = os.getpid()

async def main():
    loop = asyncio.get_running_loop()
    there = Connections()
    await there.open()
    await there.say(b"before")
    await there.hear(b"before")
    await there.say(b"across")  # sent once, by the parent
    pid = os.fork()
    if pid == 0:
%s
    assert status_of(pid) == 7
    await there.say(b"after")
    await there.hear(b"acrossafter")
    await there.close()

result = fastaio.run(main())
if os.getpid() == parent:
    print("parent done")
else:
    sys.exit(result)
"""
)

ENDS = {
    "sys.exit": "sys.exit(7)",
    "os._exit": "os._exit(7)",
    "return": "return 7",
    "exit after turns": """
        for _ in range(100):
            turned = loop.create_future()
            loop.call_soon(turned.set_result, None)
            await turned
        again = loop if sys.version_info >= (3, 14) else None
        assert asyncio._get_running_loop() is again
        sys.exit(7)
    """,
    "collected": """
        del there
        gc.collect()
        sys.exit(7)
    """,
    "transports closed": """
        for _, writer in there.ends:
            writer.close()
        there.server.close()
        for _, writer in there.ends:
            await writer.wait_closed()
        sys.exit(7)
    """,
    "transports aborted without another turn": """
        for _, writer in there.ends:
            writer.transport.abort()
        os._exit(7)
    """,
    "a new loop": """
        async def anew():
            other = Connections()
            await other.open()
            await other.say(b"child")
            await other.hear(b"child")
            await other.close()
        fastaio.run(anew())
        sys.exit(7)
    """,
    "signals": """
        signal.signal(signal.SIGUSR1, lambda *_: sys.exit(7))
        os.kill(os.getpid(), signal.SIGUSR1)
        while True:
            turned = loop.create_future()
            loop.call_soon(turned.set_result, None)
            await turned
    """,
}


def run_program(text):
    result = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", text],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    return result


@pytest.mark.parametrize("end", ENDS)
def test_the_parents_connections_go_on(end):
    child = textwrap.indent(textwrap.dedent(ENDS[end]), "        ")
    assert run_program(RUNNING % child).stdout == "parent done\n"


IDLE = (
    PROGRAM
    + """
loop = fastaio.new_event_loop()
asyncio.set_event_loop(loop)
there = Connections()
loop.run_until_complete(there.open())
pid = os.fork()
if pid == 0:
%s
assert status_of(pid) == 7
loop.run_until_complete(there.say(b"after"))
loop.run_until_complete(there.hear(b"after"))
loop.run_until_complete(there.close())
loop.close()
print("parent done")
"""
)


@pytest.mark.parametrize(
    "child",
    [
        "loop.close(); sys.exit(7)",
        "sys.exit(7)",
        "del loop, there; asyncio.set_event_loop(None); gc.collect(); sys.exit(7)",
        "loop.run_until_complete(asyncio.sleep(0.001)); sys.exit(7)",
        "there.server.close(); [w.close() for r, w in there.ends]; loop.close(); sys.exit(7)",
    ],
)
def test_an_idle_loop(child):
    assert run_program(IDLE % textwrap.indent(child, "    ")).stdout == "parent done\n"


THREAD = (
    PROGRAM
    + """
def child():
    # This thread is all there is: the one that ran the loop is not here.
    try:
        loop.close()
    except RuntimeError as exc:
        assert str(exc) == "Cannot close a running event loop", exc
    loop.call_soon_threadsafe(print, "never")
    fastaio.run(asyncio.sleep(0.001))

def work():
    pid = os.fork()
    if pid == 0:
        try:
            child()
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        %s
    return pid

async def main():
    global loop
    loop = asyncio.get_running_loop()
    there = Connections()
    await there.open()
    pid = await asyncio.to_thread(work)
    assert status_of(pid) == 7
    await there.say(b"after")
    await there.hear(b"after")
    await there.close()

fastaio.run(main())
print("parent done")
"""
)


@pytest.mark.parametrize("end", ["os._exit(7)", "del globals()['loop']; gc.collect(); os._exit(7)"])
def test_a_thread_forks(end):
    assert run_program(THREAD % end).stdout == "parent done\n"


IN_DATA_RECEIVED = (
    PROGRAM
    + """
class Forks(asyncio.Protocol):
    seen = b""
    pid = None

    def data_received(self, data):
        Forks.seen += data
        if Forks.pid is None:
            Forks.pid = os.fork()
            if Forks.pid == 0:
                sys.exit(7)
        if len(Forks.seen) == 5:
            done.set_result(None)

async def main():
    global done
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    pairs = [socket.socketpair() for _ in range(5)]
    transports = [(await loop.create_connection(Forks, sock=ours))[0] for ours, _ in pairs]
    for _, theirs in pairs:
        theirs.send(b"x")  # one poll finds them all; the child takes none of the others
    await done
    assert status_of(Forks.pid) == 7
    for transport in transports:
        transport.close()
    for _, theirs in pairs:
        theirs.close()
    await asyncio.sleep(0)

fastaio.run(main())
print("parent done")
"""
)


def test_forked_while_a_poll_is_handed_out():
    assert run_program(IN_DATA_RECEIVED).stdout == "parent done\n"


SIGNALS = (
    PROGRAM
    + """
async def main():
    heard = []
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, heard.append, 1)
    pid = os.fork()
    if pid == 0:
        os.kill(os.getpid(), signal.SIGUSR1)  # nobody's: the loop that handles it is the parent's
        os._exit(7)
    assert status_of(pid) == 7
    await asyncio.sleep(0.001)
    assert heard == []
    os.kill(os.getpid(), signal.SIGUSR1)
    await asyncio.sleep(0.001)
    assert heard == [1]

fastaio.run(main())
print("parent done")
"""
)


def test_signals_of_the_child_do_not_reach_the_parent():
    assert run_program(SIGNALS).stdout == "parent done\n"


SIGNALS_IDLE = (
    PROGRAM
    + """
loop = fastaio.new_event_loop()
loop.add_signal_handler(signal.SIGUSR1, loop.stop)
pid = os.fork()
if pid == 0:
    loop.call_soon(os.kill, os.getpid(), signal.SIGUSR1)
    loop.run_forever()
    os._exit(7)
assert status_of(pid) == 7
loop.remove_signal_handler(signal.SIGUSR1)
loop.add_signal_handler(signal.SIGUSR1, sys.exit, "the child's signal was heard")
loop.run_until_complete(asyncio.sleep(0.001))
loop.close()
print("parent done")
"""
)


def test_an_idle_loop_hears_signals_in_the_child():
    assert run_program(SIGNALS_IDLE).stdout == "parent done\n"


UNDER_SELECT = (
    PROGRAM
    + """
loop = fastaio.new_event_loop()
ours, theirs = socket.socketpair()
loop.add_reader(ours, loop.stop)
waiter = threading.Thread(target=loop._selector.select, args=[10])
waiter.start()
while True:
    try:
        loop._selector.select(0)
    except RuntimeError:
        break  # it waits now
pid = os.fork()
if pid == 0:
    signal.alarm(5)
    theirs.send(b"x")
    loop.run_forever()
    os._exit(7)
assert status_of(pid) == 7
waiter.join()
loop.run_forever()
assert ours.recv(9) == b"x"
loop.close()
print("parent done")
"""
)


def test_forked_while_another_thread_waits_in_select():
    assert run_program(UNDER_SELECT).stdout == "parent done\n"
