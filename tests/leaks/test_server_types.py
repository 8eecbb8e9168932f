"""Memory of requests, responses, routers and files after many rounds of everything they do."""

import asyncio
import gc
import sys

import pytest

import fastaio
from fastaio import _core
from fastaio.http import HttpServer, Response, StreamResponse

# Rounds of one batch; batches until caches and freelists are full; blocks left over by chance.
ROUNDS = 500
WARM_UP = 4
TOLERATED = 60


def assert_flat(work):
    """`work()` leaves no blocks of memory behind."""
    blocks = []
    for _ in range(WARM_UP + 1):
        for _ in range(ROUNDS):
            work()
        gc.collect()
        blocks.append(sys.getallocatedblocks())
    assert blocks[-1] - blocks[-2] < TOLERATED


HEAD = (
    b'POST /a%20b?x=1&y=2 HTTP/1.1\r\nHost: h\r\nCookie: a=1\r\nIf-Match: "a"\r\n'
    b"Range: bytes=0-1\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
    b"Content-Type: text/plain; charset=latin-1\r\nContent-Length: 3\r\n\r\n"
)
ATTRIBUTES = [name for name in dir(_core.Request) if not name.startswith("_")]


def test_request():
    def work():
        request = _core.Request._from_bytes(HEAD, b"abc")
        for name in ATTRIBUTES:
            if name in ("loop", "content", "version", "if_match", "if_none_match"):
                continue  # need a connection or fastaio.web
            getattr(request, name)
        request["a"] = request
        request.attribute = request
        request.text().__await__()
        request._override(app=1, state={}, method="GET")
        repr(request)

    assert_flat(work)


def test_response():
    def work():
        response = Response(text="é", headers={"A": "b"}, status=201, reason="So")
        response.content_type = "a/b"
        response.charset = "utf-8"
        response.text = "x"
        response.cookies["a"] = "b"
        response["a"] = response
        repr(response)
        _core.json_response({"a": [1, 2.5, "x"]}, headers={"A": "b"})
        with pytest.raises(ValueError, match="reason"):
            Response(reason="\n", headers={"A": "b"})
        with pytest.raises(TypeError):
            _core.json_response({1: object()})
        StreamResponse(headers={"A": "b"}).content_length = 3

    assert_flat(work)


def test_router():
    def work():
        router = _core.Router()
        for path in ("/", "/a", "/{x}", "/a/{y}/b"):
            router.add("GET", path, print)
        router.add_prefix("GET", "/f", print)
        router.set_fallback(_core.Route(print), lambda method, allowed: _core.Route(print))
        for path in ("/", "/a", "/b", "/a/%41/b", "/f/x", "/f/%41", "/n/n/n"):
            router.resolve("GET", path)
            router.resolve("PUT", path, "h")
        with pytest.raises(ValueError, match="needs its compiled pattern"):
            router.add("GET", "/{a}-{b}", print)

    assert_flat(work)


async def exchange(address, data):
    reader, writer = await asyncio.open_connection(*address)
    writer.write(data)
    await reader.read()
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("factory", [asyncio.SelectorEventLoop, fastaio.new_event_loop])
def test_served(factory, tmp_path):
    folder = tmp_path.resolve() / "files"
    folder.mkdir()
    (folder / "small").write_bytes(b"x" * 100)
    (folder / "large").write_bytes(b"x" * 200_000)

    async def plain(request):
        return Response(text=request.match_info["x"], headers={"A": "b"})

    async def stream(request):
        response = StreamResponse()
        await response.prepare(request)
        await response.write(await request.read())
        return response

    async def missing(request):
        await asyncio.sleep(0)
        return Response(status=404)

    async def finish(request, response):
        await response.prepare(request)
        await response.write_eof()

    router = _core.Router()
    router.add("GET", "/p/{x}", plain)
    router.add("POST", "/s", stream)
    router.add_prefix("GET", "/f", _core.Folder(folder, missing))
    router.set_fallback(_core.Route(missing))
    close = b" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
    requests = [
        b"GET /p/a%20b" + close + b"\r\n",
        b"POST /s" + close + b"Content-Length: 3\r\n\r\nabc",
        b"GET /f/small" + close + b"\r\n",
        b"GET /f/large" + close + b"Range: bytes=1-100000\r\n\r\n",
        b"GET /f/missing" + close + b"\r\n",
        b"GET /f/small" + close + b"If-None-Match: *\r\n\r\n",
        b"GET /n" + close + b"\r\n",
    ]

    async def main():
        loop = asyncio.get_running_loop()
        server = HttpServer(None, router=router, finish=finish, loop=loop)
        listener = await loop.create_server(server, "127.0.0.1", 0)
        address = listener.sockets[0].getsockname()

        async def rounds(count):
            for _ in range(count):
                for data in requests:
                    await exchange(address, data)
            gc.collect()
            return sys.getallocatedblocks()

        await rounds(20)
        before = await rounds(10)
        after = await rounds(60)
        listener.close()
        await server.shutdown(5)
        await listener.wait_closed()
        assert after - before < 10 * TOLERATED

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())
