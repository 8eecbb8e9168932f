"""ServerProtocol driven by hand, over a transport that only remembers."""

import asyncio
import contextlib
import gc
import weakref

import pytest

import fastaio
from fastaio.http import HttpServer, Response, ServerProtocol

HEAD = b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n"


class Transport(asyncio.Transport):
    """Keeps what is written; closes when told, as asyncio's do: in a later turn."""

    def __init__(self, protocol, loop):
        super().__init__()
        self.protocol = protocol
        self.loop = loop
        self.written = b""
        self.closing = False
        self.reading = True

    def write(self, data):
        self.written += data

    def writelines(self, parts):
        self.written += b"".join(parts)

    def is_closing(self):
        return self.closing

    def close(self):
        if not self.closing:
            self.closing = True
            self.loop.call_soon(self.protocol.connection_lost, None)

    abort = close

    def pause_reading(self):
        self.reading = False

    def resume_reading(self):
        self.reading = True

    def can_write_eof(self):
        return False

    def get_write_buffer_size(self):
        return 0

    def set_protocol(self, protocol):
        self.protocol = protocol


def connected(handler, **settings):
    """A protocol with its transport; to be called with a loop running."""
    protocol = ServerProtocol(HttpServer(handler, **settings))
    transport = Transport(protocol, asyncio.get_running_loop())
    protocol.connection_made(transport)
    return protocol, transport


async def path(request):
    return Response(text=request.path)


@pytest.fixture(params=["asyncio", "fastaio"])
def run(request):
    factory = {"asyncio": asyncio.new_event_loop, "fastaio": fastaio.new_event_loop}[request.param]

    def run(main):
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(main)

    return run


def test_a_request_in_and_an_answer_out_in_one_call(run):
    async def main():
        protocol, transport = connected(path)
        protocol.data_received(HEAD % b"/a")
        assert transport.written.endswith(b"\r\n\r\n/a")
        assert protocol.served == 1
        transport.close()
        await asyncio.sleep(0)
        assert protocol.transport is None
        assert protocol.server.connection_count == 0

    run(main())


def test_bytes_received_inside_a_handler_come_after_it(run):
    async def handler(request):
        if request.path == "/1":
            protocol.data_received(HEAD % b"/2")
        return Response(text=request.path)

    async def main():
        nonlocal protocol
        protocol, transport = connected(handler)
        protocol.data_received(HEAD % b"/1" + HEAD % b"/3")
        while transport.written.count(b"HTTP/1.1") < 3:
            await asyncio.sleep(0)
        bodies = [part.rsplit(b"\r\n", 1)[1] for part in transport.written.split(b"HTTP/1.1")[1:]]
        assert bodies == [b"/1", b"/3", b"/2"]
        transport.close()
        await asyncio.sleep(0)

    protocol = None
    run(main())


@pytest.mark.parametrize("way", ["close", "abort", "lost"])
def test_a_handler_may_end_its_connection(run, way):
    async def handler(request):
        if way == "lost":
            protocol.connection_lost(None)
        else:
            getattr(protocol, way)()
        return Response(text="late")

    async def main():
        nonlocal protocol
        protocol, transport = connected(handler)
        protocol.data_received(HEAD % b"/" * 3)
        assert (b"late" in transport.written) == (way == "close")
        assert b"connection: close" in transport.written.lower() or way != "close"
        if way != "lost":
            transport.close()
        await asyncio.sleep(0)
        assert protocol.server.connection_count == 0

    protocol = None
    run(main())


def test_reading_is_paused_while_too_much_waits(run):
    go_on = None

    async def handler(request):
        await go_on.wait()
        return Response(text="x")

    async def main():
        nonlocal go_on
        go_on = asyncio.Event()
        protocol, transport = connected(handler, max_head=4096)
        question = HEAD % (b"/" + b"a" * 1000)
        protocol.data_received(question * 2)
        assert transport.reading
        protocol.data_received(question * 10)
        assert not transport.reading
        go_on.set()
        while protocol.served < 12:
            await asyncio.sleep(0)
        assert transport.reading
        transport.close()
        await asyncio.sleep(0)

    run(main())


def test_requests_of_one_turn_are_bounded(run):
    async def main():
        protocol, transport = connected(path, max_pipelined=3)
        protocol.data_received(HEAD % b"/" * 10)
        assert protocol.served == 3
        for _ in range(20):
            await asyncio.sleep(0)
        assert protocol.served == 10
        transport.close()
        await asyncio.sleep(0)

    run(main())


def test_answers_wait_while_writing_is_paused(run):
    async def main():
        protocol, transport = connected(path)
        protocol.pause_writing()
        protocol.data_received(HEAD % b"/" * 2)
        assert protocol.served == 0
        protocol.resume_writing()
        for _ in range(4):
            await asyncio.sleep(0)
        assert protocol.served == 2
        transport.close()
        await asyncio.sleep(0)

    run(main())


def test_a_server_belongs_to_one_loop():
    server = HttpServer(path)

    async def main():
        protocol = ServerProtocol(server)
        protocol.connection_made(Transport(protocol, asyncio.get_running_loop()))
        protocol.connection_lost(None)

    with asyncio.Runner() as runner:
        runner.run(main())
        assert server.loop is runner.get_loop()


@pytest.mark.parametrize("state", ["idle", "head", "handling", "resumed"])
def test_a_loop_closed_over_a_connection_leaks_nothing(state):
    async def handler(request):
        if state == "handling":
            await asyncio.get_running_loop().create_future()
        return Response(text="x")

    async def main():
        protocol, transport = connected(handler, max_pipelined=1)
        if state == "head":
            protocol.data_received(HEAD[:10])
        elif state != "idle":
            protocol.data_received(HEAD % b"/" * 3)
        return weakref.ref(protocol), weakref.ref(transport)

    loop = fastaio.new_event_loop()
    loop.set_exception_handler(lambda loop, context: None)
    refs = loop.run_until_complete(main())
    loop.close()
    del loop
    gc.collect()
    assert [ref() for ref in refs] == [None, None]


def test_a_protocol_serves_one_connection(run):
    async def main():
        protocol, transport = connected(path)
        other = Transport(ServerProtocol(protocol.server), asyncio.get_running_loop())
        for again in (transport, other):
            with pytest.raises(RuntimeError, match="connected already"):
                protocol.connection_made(again)
        assert protocol.server.connections == [protocol]
        protocol.data_received(HEAD % b"/a")
        assert transport.written.endswith(b"/a")
        protocol.connection_lost(None)

        late = Transport(protocol, asyncio.get_running_loop())
        protocol.connection_made(late)
        assert late.closing
        await asyncio.sleep(0)
        assert protocol.server.connection_count == 0

    run(main())


def test_a_protocol_given_to_several_streams_serves_the_first():
    async def main():
        loop = asyncio.get_running_loop()
        protocol = ServerProtocol(HttpServer(path))
        listener = await loop.create_server(lambda: protocol, "127.0.0.1", 0)
        address = listener.sockets[0].getsockname()
        reader, writer = await asyncio.open_connection(*address)
        for _ in range(2):
            other, other_writer = await asyncio.open_connection(*address)
            with contextlib.suppress(ConnectionResetError):
                assert await other.read() == b""
            other_writer.close()
        assert protocol.server.connection_count == 0
        writer.close()
        listener.close()
        await listener.wait_closed()

    with asyncio.Runner(loop_factory=fastaio.new_event_loop) as runner:
        runner.run(asyncio.wait_for(main(), 20))


class Closing:
    """Garbage that closes connections when it is collected."""

    def __init__(self, close):
        self.close = close
        self.itself = self

    def __del__(self):
        self.close()


CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n"


@pytest.mark.parametrize("data", [HEAD % b"/", CHUNKED, CHUNKED + b"0\r\n\r\n"])
@pytest.mark.parametrize("end", ["abort", "hand_over"])
def test_a_collection_may_close_the_connection_at_any_allocation(run, data, end):
    kept = []

    async def handler(request):
        kept.append(request)  # no memory of a request before is there to be used again
        return Response(text=(await request.read()).decode())

    async def main():
        for count in range(1, 40):
            protocol, transport = connected(handler)
            if end == "abort":
                Closing(protocol.abort)
            else:
                Closing(lambda protocol=protocol: protocol.hand_over(asyncio.Protocol()))
            before = gc.get_threshold()
            gc.set_threshold(count)
            try:
                protocol.data_received(data)
                if data is CHUNKED and protocol.transport is not None:
                    protocol.data_received(b"1\r\nd\r\n")
            finally:
                gc.set_threshold(*before)
            gc.collect()
            assert transport.closing or protocol.transport is None
            await asyncio.sleep(0)

    gc.collect()
    run(main())


def test_a_body_outlives_its_connection():
    kept = []

    async def handler(request):
        kept.append(request.content)
        await asyncio.get_running_loop().create_future()

    async def main():
        protocol, _ = connected(handler)
        protocol.data_received(CHUNKED)
        return weakref.ref(protocol)

    loop = fastaio.new_event_loop()
    loop.set_exception_handler(lambda loop, context: None)
    ref = loop.run_until_complete(main())
    loop.close()
    del loop
    gc.collect()
    assert ref() is None
    assert kept[0].read_nowait() == b"abc"
    with pytest.raises(RuntimeError, match="closed"):
        kept[0].read().send(None)


def test_a_collection_may_ask_something_of_the_task(run):
    async def handler(request):
        task = asyncio.current_task()
        Closing(request.protocol.server.cancel_handlers)
        threshold = gc.get_threshold()
        gc.set_threshold(1)
        name = task.get_name()
        gc.set_threshold(*threshold)
        assert task in asyncio.all_tasks()
        return Response(text=name)

    async def main():
        protocol, transport = connected(handler)
        protocol.data_received(HEAD % b"/")
        assert b"Task-" in transport.written
        transport.close()
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    gc.collect()
    run(main())
