"""Requests and answers on one connection: keep-alive, versions, pipelines, HEAD, errors."""

import asyncio
import email.utils
import logging

import pytest

from fastaio.http import Response, StreamResponse


async def hello(request):
    return Response(text="Hello, World!")


async def name_path(request):
    if request.query_string == "wait":
        await asyncio.sleep(0.005)
    return Response(text=request.path)


def test_keep_alive_answers_in_turn(run, serving, req):
    async def main():
        async with serving(name_path) as server:
            client = await server.connect()
            for path in ("/a", "/b?wait", "/c"):
                answer = await client.ask(req(path))
                assert (answer.status, answer.body) == (200, path[:2].encode())
                assert "connection" not in answer.fields
            assert server.http.connection_count == 1
            assert server.http.requests_count == 3

    run(main())


def test_date_is_now_and_server_is_as_set(run, serving, req):
    async def main():
        async with serving(hello, server_header="unit/1") as server:
            client = await server.connect()
            answer = await client.ask(req())
            now = email.utils.parsedate_to_datetime(answer.fields["date"]).timestamp()
            import time

            assert abs(now - time.time()) < 3
            assert answer.fields["server"] == "unit/1"

    run(main())


@pytest.mark.parametrize(
    ("version", "connection", "stays"),
    [
        ("1.1", None, True),
        ("1.1", "close", False),
        ("1.1", "keep-alive", True),
        ("1.1", "foo, Close", False),
        ("1.0", None, False),
        ("1.0", "keep-alive", True),
    ],
)
def test_persistence_follows_version_and_connection_field(run, serving, version, connection, stays):
    async def main():
        async with serving(hello) as server:
            client = await server.connect()
            field = f"Connection: {connection}\r\n" if connection else ""
            question = f"GET / HTTP/{version}\r\nHost: x\r\n{field}\r\n".encode()
            assert (await client.ask(question)).status == 200
            if stays:
                assert (await client.ask(question)).status == 200
            else:
                assert await client.closed()

    run(main())


def test_head_has_length_and_no_body(run, serving, req):
    async def main():
        async with serving(hello) as server:
            client = await server.connect()
            answer = await client.ask(req(method="HEAD"), "HEAD")
            assert answer.fields["content-length"] == "13"
            assert (await client.ask(req())).body == b"Hello, World!"

    run(main())


@pytest.mark.parametrize("cut", [1, 4, 18, 30])
def test_a_head_in_pieces(run, serving, req, cut):
    async def main():
        async with serving(name_path) as server:
            client = await server.connect()
            data = req("/pieces", X_More="y" * 50)
            for i in range(0, len(data), cut):
                await client.send(data[i : i + cut])
                await asyncio.sleep(0)
            assert (await client.read()).body == b"/pieces"

    run(main())


def test_pipelined_answers_come_in_order(run, serving, req):
    async def main():
        async with serving(name_path) as server:
            client = await server.connect()
            paths = [f"/{i}" + ("?wait" if i % 5 == 2 else "") for i in range(200)]
            await client.send(b"".join(map(req, paths)))
            for path in paths:
                assert (await client.read()).body == path.partition("?")[0].encode()

    run(main())


def test_pipelined_split_at_any_byte(run, serving, req):
    data = req("/one", method="POST", body=b"first") + req("/two") + req("/three?wait")

    async def main():
        async with serving(name_path) as server:
            for cut in range(1, len(data), 7):
                client = await server.connect()
                await client.send(data[:cut])
                await asyncio.sleep(0)
                await client.send(data[cut:])
                for path in (b"/one", b"/two", b"/three"):
                    assert (await client.read()).body == path
                client.writer.close()

    run(main())


def test_pipelined_answers_of_one_read_leave_in_one_write(loop_factory, req):
    """On our own loop, seen from the client: all 16 answers are there in one read."""
    import fastaio
    from fastaio import http

    async def main():
        listener = await http.serve(hello)
        reader, writer = await asyncio.open_connection(*listener.sockets[0].getsockname())
        writer.write(req() * 16)
        got = await reader.read(1 << 20)
        assert got.count(b"Hello, World!") == 16
        writer.close()
        await writer.wait_closed()
        listener.close()
        await listener.wait_closed()

    fastaio.run(main())


def test_many_connections_at_once(run, serving, req):
    async def one(server, number):
        client = await server.connect()
        for turn in range(5):
            answer = await client.ask(req(f"/{number}/{turn}?wait"))
            assert answer.body == f"/{number}/{turn}".encode()

    async def main():
        async with serving(name_path) as server:
            await asyncio.gather(*(one(server, i) for i in range(50)))
            assert server.http.requests_count == 250

    run(main())


def test_plain_functions_are_handlers_too(run, serving, req):
    def plain(request):
        return Response(text="plain " + request.path)

    async def main():
        async with serving(plain) as server:
            client = await server.connect()
            assert (await client.ask(req("/x"))).body == b"plain /x"

    run(main())


def test_a_plain_function_may_give_an_awaitable(run, serving, req):
    def plain(request):
        return hello(request)

    async def main():
        async with serving(plain) as server:
            client = await server.connect()
            assert (await client.ask(req())).body == b"Hello, World!"

    run(main())


class FailureError(Exception):
    pass


@pytest.mark.parametrize("waits", [False, True])
def test_a_failing_handler_is_500_and_the_connection_goes_on(run, serving, req, caplog, waits):
    async def handler(request):
        if waits:
            await asyncio.sleep(0)
        if request.path == "/fail":
            raise FailureError("secret")
        return Response(text="ok")

    async def main():
        async with serving(handler) as server:
            client = await server.connect()
            answer = await client.ask(req("/fail"))
            assert answer.status == 500
            assert b"secret" not in answer.body
            assert (await client.ask(req("/"))).body == b"ok"

    with caplog.at_level(logging.ERROR, "fastaio.server"):
        run(main())
    (record,) = caplog.records
    assert record.exc_info[0] is FailureError


@pytest.mark.parametrize("value", [None, "text", 42, b"bytes"])
def test_a_handler_without_a_response_is_500(run, serving, req, caplog, value):
    async def handler(request):
        return value

    async def main():
        async with serving(handler) as server:
            client = await server.connect()
            assert (await client.ask(req())).status == 500

    with caplog.at_level(logging.ERROR, "fastaio.server"):
        run(main())
    assert type(value).__name__ in str(caplog.records[0].exc_info[1])


class TeapotError(Exception):
    def __init__(self):
        self.__http_response__ = Response(status=418, text="short and stout")


@pytest.mark.parametrize("waits", [False, True])
def test_an_exception_that_carries_its_answer(run, serving, req, waits):
    async def handler(request):
        if waits:
            await asyncio.sleep(0)
        raise TeapotError

    async def main():
        async with serving(handler) as server:
            client = await server.connect()
            for _ in range(2):
                answer = await client.ask(req())
                assert (answer.status, answer.body) == (418, b"short and stout")

    run(main())


def test_a_failure_after_the_head_aborts_the_connection(run, serving, req, caplog):
    async def handler(request):
        response = StreamResponse()
        await response.prepare(request)
        await response.write(b"some")
        raise FailureError

    async def main():
        async with serving(handler) as server:
            client = await server.connect()
            await client.send(req())
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await client.read()

    with caplog.at_level(logging.ERROR, "fastaio.server"):
        run(main())
    assert caplog.records[0].exc_info[0] is FailureError


def test_a_stream_is_chunked_and_the_connection_goes_on(run, serving, req):
    async def handler(request):
        response = StreamResponse()
        await response.prepare(request)
        for i in range(10):
            await response.write(b"%d" % i * 1000)
            if i % 3 == 0:
                await asyncio.sleep(0)
        await response.write_eof()
        return response

    async def main():
        async with serving(handler) as server:
            client = await server.connect()
            for _ in range(2):
                answer = await client.ask(req())
                assert answer.body == b"".join(b"%d" % i * 1000 for i in range(10))

    run(main())


def test_a_stream_without_write_eof_is_completed(run, serving, req):
    async def handler(request):
        response = StreamResponse()
        await response.prepare(request)
        await response.write(b"open end")
        return response

    async def main():
        async with serving(handler) as server:
            client = await server.connect()
            for _ in range(2):
                assert (await client.ask(req())).body == b"open end"

    run(main())


def test_access_log_is_called_per_answer(run, serving, req):
    seen = []

    def log(request, response, seconds):
        seen.append((request.path, response.status, seconds))

    async def main():
        async with serving(name_path, access_log=log) as server:
            client = await server.connect()
            await client.ask(req("/a"))
            await client.ask(req("/b?wait"))

    run(main())
    assert [entry[:2] for entry in seen] == [("/a", 200), ("/b", 200)]
    assert 0 <= seen[0][2] < 5
    assert 0.004 < seen[1][2] < 5


def test_a_disabled_access_log_is_not_called(run, serving, req):
    class Log:
        enabled = False

        def __call__(self, request, response, seconds):
            raise AssertionError

    async def main():
        async with serving(hello, access_log=Log()) as server:
            client = await server.connect()
            assert (await client.ask(req())).status == 200

    run(main())


def test_a_request_that_outlives_its_answer(run, serving, req):
    kept = []

    async def handler(request):
        kept.append(request)
        return Response(text="ok")

    async def main():
        async with serving(handler) as server:
            client = await server.connect()
            await client.send(req("/first?q=1", X_Name="one") + req("/second", X_Name="two"))
            await client.read()
            await client.read()
            for _ in range(20):
                await client.ask(req("/" + "z" * 100))

    run(main())
    assert [request.path for request in kept[:2]] == ["/first", "/second"]
    assert kept[0].headers["X-Name"] == "one"
    assert kept[0].transport is None
