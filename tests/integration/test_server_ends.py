"""How connections end: time-outs, clients that go away or do not read, shutdown, malformed heads,
connections taken over."""

import asyncio
import contextlib
import logging
import socket

import pytest

from fastaio.http import Response, StreamResponse


async def hello(request):
    return Response(text="Hello, World!")


async def until(condition):
    """Waits for what has no event of its own."""
    while not condition():
        await asyncio.sleep(0.005)


def test_an_idle_connection_is_closed_without_a_word(run, serving, req):
    async def main():
        async with serving(hello, keepalive_timeout=0.1) as server:
            client = await server.connect()
            for _ in range(3):
                assert (await client.ask(req())).status == 200
                await asyncio.sleep(0.02)
            assert await client.closed()

    run(main())


def test_an_unfinished_head_is_408(run, serving):
    async def main():
        async with serving(hello, head_timeout=0.1) as server:
            client = await server.connect()
            await client.send(b"GET / HTTP/1.1\r\nHo")
            await asyncio.sleep(0.06)
            await client.send(b"st: x\r\n")  # more of it does not prolong the time
            assert (await client.read()).status == 408
            assert await client.closed()

    run(main())


def test_a_connection_that_never_asks_is_closed(run, serving):
    async def main():
        async with serving(hello, head_timeout=0.1) as server:
            client = await server.connect()
            assert await client.closed()

    run(main())


def test_a_handler_has_all_the_time_it_wants(run, serving, req):
    async def handler(request):
        await asyncio.sleep(0.3)
        return Response(text="late")

    async def main():
        async with serving(handler, head_timeout=0.05, keepalive_timeout=0.05) as server:
            client = await server.connect()
            assert (await client.ask(req())).body == b"late"

    run(main())


def test_a_client_that_never_reads_is_aborted(run, serving, req):
    ended = asyncio.Event()

    async def handler(request):
        response = StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(bytes(1 << 16))
        except ConnectionResetError:
            ended.set()
            raise

    async def main():
        async with serving(handler, write_timeout=0.2) as server:
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, server.address)
            await asyncio.get_running_loop().sock_sendall(sock, req())
            await ended.wait()
            sock.close()
            await until(lambda: server.http.connection_count == 0)

    run(main())


def test_a_large_answer_reaches_a_slow_client(run, serving, req):
    body = bytes(range(256)) * (32 << 10)

    async def handler(request):
        return Response(body=body)

    async def main():
        async with serving(handler) as server:
            client = await server.connect(limit=1 << 14)
            for _ in range(2):
                assert (await client.ask(req())).body == body

    run(main())


def test_writing_waits_for_the_client(run, serving, req):
    written = []

    async def handler(request):
        response = StreamResponse()
        await response.prepare(request)
        for _ in range(256):
            await response.write(bytes(1 << 16))
            written.append(1)
        await response.write_eof()
        return response

    async def main():
        async with serving(handler) as server:
            client = await server.connect(limit=1 << 14)
            await client.send(req())
            await asyncio.sleep(0.2)
            assert len(written) < 256
            assert len((await client.read()).body) == 256 << 16

    run(main())


def test_pipelined_requests_wait_for_a_client_that_does_not_read(run, serving, req):
    async def handler(request):
        return Response(body=bytes(100_000))

    async def main():
        async with serving(handler) as server:
            client = await server.connect(limit=1 << 14)
            await client.send(req() * 300)
            await asyncio.sleep(0.1)
            assert server.http.requests_count < 300
            for _ in range(300):
                assert len((await client.read()).body) == 100_000

    run(main())


def test_what_is_sent_ahead_is_bounded(run, serving, req):
    go_on = asyncio.Event()

    async def handler(request):
        await go_on.wait()
        return Response(text="x")

    async def main():
        async with serving(handler) as server:
            client = await server.connect()
            question = req("/" + "a" * 1000)
            sent = 0
            with pytest.raises(TimeoutError):
                while sent < 64 << 20:
                    client.writer.write(question * 1000)
                    sent += 1000
                    await asyncio.wait_for(client.writer.drain(), 0.3)
            go_on.set()
            for _ in range(sent):
                assert (await client.read()).body == b"x"

    run(main())


@pytest.mark.parametrize("path", ["/at-once", "/later"])
def test_half_close_is_still_answered(run, serving, req, path):
    async def handler(request):
        if request.path == "/later":
            await asyncio.sleep(0.02)
        return Response(text=request.path)

    async def main():
        async with serving(handler) as server:
            client = await server.connect()
            await client.send(req(path) * 3)
            client.end()
            for _ in range(3):
                assert (await client.read()).body == path.encode()
            assert await client.closed()

    run(main())


def test_a_client_gone_does_not_disturb_its_handler(run, serving, req):
    outcome = []
    done = asyncio.Event()

    async def handler(request):
        try:
            await asyncio.sleep(0.05)
            outcome.append("ran on")
            return Response(text="nobody")
        finally:
            done.set()

    async def main():
        async with serving(handler) as server:
            client = await server.connect()
            await client.send(req())
            await asyncio.sleep(0.01)
            client.abort()
            await done.wait()
            await until(lambda: server.http.connection_count == 0)

    run(main())
    assert outcome == ["ran on"]


@pytest.mark.parametrize("way", ["abort", "close"])
def test_handler_cancellation(run, serving, req, way):
    outcome = []
    done = asyncio.Event()

    async def handler(request):
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            outcome.append("cancelled")
            raise
        finally:
            done.set()

    async def main():
        async with serving(handler, handler_cancellation=True) as server:
            client = await server.connect()
            await client.send(req())
            await asyncio.sleep(0.01)
            if way == "abort":
                client.abort()
            else:
                client.writer.close()
            await done.wait()

    run(main())
    assert outcome == ["cancelled"]


def test_writing_to_a_client_that_is_gone(run, serving, req):
    outcome = []
    done = asyncio.Event()

    async def handler(request):
        response = StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 1000)
                await asyncio.sleep(0.001)
        except ConnectionResetError:
            outcome.append("reset")
            raise
        finally:
            done.set()

    async def main():
        async with serving(handler) as server:
            client = await server.connect()
            await client.send(req())
            await client.reader.read(100)
            client.abort()
            await done.wait()

    run(main())
    assert outcome == ["reset"]


def test_writing_to_an_aborted_transport_is_silent(run, serving, req, caplog):
    """The transport is closing, but has not told its protocol yet."""
    done = asyncio.Event()

    async def handler(request):
        response = StreamResponse()
        await response.prepare(request)
        request.transport.abort()
        with contextlib.suppress(ConnectionResetError):
            for _ in range(20):
                await response.write(b"x" * 100_000)
        done.set()
        return response

    async def main():
        async with serving(handler) as server:
            client = await server.connect()
            await client.send(req())
            await done.wait()

    run(main())
    assert caplog.messages == []


def test_shutdown_closes_idle_and_awaits_busy(run, serving, req):
    async def handler(request):
        await asyncio.sleep(0.1)
        return Response(text="done")

    async def main():
        async with serving(handler) as server:
            idle, busy = await server.connect(), await server.connect()
            await idle.ask(req())
            await busy.send(req())
            await asyncio.sleep(0.02)
            ending = asyncio.ensure_future(server.http.shutdown(5))
            assert await idle.closed()
            answer = await busy.read()
            assert answer.body == b"done"
            assert await busy.closed()
            await ending
            assert server.http.connections == []

    run(main())


def test_shutdown_cancels_what_takes_too_long(run, serving, req):
    outcome = []

    async def handler(request):
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            outcome.append("cancelled")
            raise

    async def main():
        async with serving(handler) as server:
            client = await server.connect()
            await client.send(req())
            await asyncio.sleep(0.02)
            await server.http.shutdown(0.05)
            assert server.http.connection_count == 0

    run(main())
    assert outcome == ["cancelled"]


MALFORMED = [
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    (b"GET / HTTP/1.1\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\nHost: a\n\n", 400),
    (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    (b"NONSENSE / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 9000 + b"\r\n\r\n", 431),
    (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
    (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0\r\n\r\n",
        400,
    ),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
]


@pytest.mark.parametrize(("data", "status"), MALFORMED)
def test_malformed_requests_are_refused(run, serving, req, caplog, data, status):
    called = []

    async def handler(request):
        called.append(request.path)
        return Response()

    async def main():
        async with serving(handler) as server:
            client = await server.connect()
            await client.send(req("/first") + data + req("/behind"))
            assert (await client.read()).status == 200
            answer = await client.read()
            assert answer.status == status
            assert answer.fields["connection"] == "close"
            assert len(answer.body) < 200
            assert await client.closed()

    with caplog.at_level(logging.WARNING, "fastaio.server"):
        run(main())
    assert called == ["/first"]
    assert len([r for r in caplog.records if r.name == "fastaio.server"]) == 1


def test_refusals_are_logged_once_a_second(run, serving, caplog):
    async def main():
        async with serving(hello) as server:
            for _ in range(20):
                client = await server.connect()
                await client.send(b"BAD\r\n\r\n")
                assert (await client.read()).status == 400

    with caplog.at_level(logging.WARNING, "fastaio.server"):
        run(main())
    assert 1 <= len(caplog.records) <= 3


def test_a_connection_is_taken_over(run, serving, req):
    class Echo(asyncio.Protocol):
        def __init__(self, transport):
            self.transport = transport

        def data_received(self, data):
            self.transport.write(data.upper())

    async def handler(request):
        if request.query_string == "wait":
            await asyncio.sleep(0)
        protocol, transport = request.protocol, request.transport
        transport.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        protocol.hand_over(Echo(transport))
        assert request.transport is None
        return Response(text="ignored")

    async def main():
        async with serving(handler) as server:
            for target in ("/", "/?wait"):
                client = await server.connect()
                await client.send(req(target, Connection="upgrade", Upgrade="echo") + b"early")
                assert (await client.read()).status == 101
                assert await client.reader.readexactly(5) == b"EARLY"
                await client.send(b"later")
                assert await client.reader.readexactly(5) == b"LATER"
                client.writer.close()

    run(main())


def test_arguments_are_checked():
    from fastaio.http import HttpServer, ServerProtocol

    with pytest.raises(TypeError):
        HttpServer()
    with pytest.raises(TypeError):
        HttpServer(42)
    with pytest.raises(TypeError):
        HttpServer(hello, router=42)
    with pytest.raises(TypeError):
        HttpServer(hello, request_type=int)
    with pytest.raises(TypeError):
        HttpServer(hello, no_such_setting=1)
    with pytest.raises(TypeError):
        ServerProtocol(42)
    for settings in (
        {"max_fields": 129},
        {"max_line": 0},
        {"head_timeout": -1},
        {"keepalive_timeout": float("nan")},
        {"server_header": "a\r\nb"},
        {"server_header": "x" * 200},
    ):
        with pytest.raises(ValueError):
            HttpServer(hello, **settings)


def test_answers_before_one_that_fails_half_way(run, serving, req):
    async def handler(request):
        if request.path == "/whole":
            return Response(text="whole")
        stream = StreamResponse()
        await stream.prepare(request)
        raise ValueError("half-way")

    async def main():
        async with serving(handler) as server:
            client = await server.connect()
            await client.send(req("/whole") + req("/half"))
            assert (await client.read()).body == b"whole"
            assert (await client.reader.read()).startswith(b"HTTP/1.1 200 OK")

    run(main())
