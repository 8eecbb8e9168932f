"""Handlers that run the loop they are called by (fastaio.allow_nested())."""

import asyncio

import pytest

import fastaio
from fastaio import http

REQUEST = b"GET %s HTTP/1.1\r\nHost: here\r\n\r\n"


@pytest.fixture
def loop():
    loop = fastaio.new_event_loop()
    fastaio.allow_nested(loop)
    yield loop
    loop.close()


async def nap():
    for _ in range(3):
        await asyncio.sleep(0)
    await asyncio.sleep(0.001)
    return 7


def run_inside(loop):
    task = asyncio.current_task()
    assert loop.run_until_complete(nap()) == 7
    assert asyncio.current_task() is task


async def fetch(port, request, *pieces):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    for piece in pieces:
        await nap()
        writer.write(piece)
    head = await reader.readuntil(b"\r\n\r\n")
    size = int(head.lower().split(b"content-length:")[1].split()[0])
    body = await reader.readexactly(size)
    writer.close()
    await writer.wait_closed()
    return body


def serving(loop, handler, use):
    async def main():
        engine = http.HttpServer(handler, loop=loop)
        server = await loop.create_server(engine, "127.0.0.1", 0)
        try:
            await asyncio.wait_for(use(server.sockets[0].getsockname()[1]), 30)
        finally:
            server.close()
            await engine.shutdown(20)
            await server.wait_closed()

    loop.run_until_complete(main())


def test_in_a_handler(loop):
    async def handler(request):
        if request.path == "/outer":
            text = loop.run_until_complete(fetch(port, REQUEST % b"/inner"))
            run_inside(loop)
            assert request.path == "/outer"
            assert request.headers["Host"] == "here"
            return http.Response(text="outer " + text.decode())
        await asyncio.sleep(0)
        return http.Response(text="inner")

    async def use(at):
        nonlocal port
        port = at
        assert await fetch(port, REQUEST % b"/outer") == b"outer inner"
        answers = await asyncio.gather(*[fetch(port, REQUEST % b"/outer") for _ in range(3)])
        assert answers == [b"outer inner"] * 3

    port = None
    serving(loop, handler, use)


@pytest.mark.parametrize("wait_first", [False, True])
def test_a_handler_reads_its_body(loop, wait_first):
    async def handler(request):
        if wait_first:
            await asyncio.sleep(0)
        body = loop.run_until_complete(request.read())
        return http.Response(text=body.decode())

    async def use(port):
        head = b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 10\r\n\r\n"
        assert await fetch(port, head, b"hello", b"world") == b"helloworld"
        assert await fetch(port, head + b"hello", b"wor", b"ld") == b"helloworld"

    serving(loop, handler, use)


def test_requests_sent_ahead_of_a_nested_handler(loop):
    async def handler(request):
        run_inside(loop)
        return http.Response(text=request.path)

    async def use(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        paths = [b"/%d" % number for number in range(4)]
        writer.write(REQUEST % paths[0] + REQUEST % paths[1])
        await nap()
        writer.write(REQUEST % paths[2] + (REQUEST % paths[3])[:10])
        await nap()
        writer.write((REQUEST % paths[3])[10:])
        for path in paths:
            await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(2) == path
        writer.close()
        await writer.wait_closed()

    serving(loop, handler, use)


def test_a_client_that_goes_during_the_nested_run(loop):
    async def handler(request):
        assert request.headers["Host"] == "here"
        client.abort()
        run_inside(loop)
        assert request.headers["Host"] == "here"
        ended.set_result(None)
        return http.Response(text="nobody hears")

    async def use(port):
        nonlocal client, ended
        ended = loop.create_future()
        client, _ = await loop.create_connection(asyncio.Protocol, "127.0.0.1", port)
        client.write(REQUEST % b"/")
        await ended

    client = ended = None
    serving(loop, handler, use)
