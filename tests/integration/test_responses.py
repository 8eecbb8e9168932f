"""What responses look like on the wire."""

import asyncio
import http.cookies

import pytest

from fastaio import _core
from fastaio.http import Response, StreamResponse


def answering(make):
    """A handler that answers with what make(request) gives."""

    async def handler(request):
        return make(request)

    return handler


@pytest.fixture
def ask(run, serving, req):
    """ask(handler, ...) -> the answer to one request, whose connection then still works."""

    def ask(handler, target="/", method="GET", again=True, **fields):
        async def main():
            async with serving(handler) as server:
                client = await server.connect()
                answer = await client.ask(req(target, method, **fields), method)
                if again and answer.fields.get("connection") != "close":
                    second = await client.ask(req(target, method, **fields), method)
                    assert (second.status, second.body) == (answer.status, answer.body)
                return answer

        return run(main())

    return ask


def test_plain(ask):
    answer = ask(answering(lambda request: Response(text="hé")))
    assert (answer.version, answer.status, answer.reason) == ("HTTP/1.1", 200, "OK")
    assert answer.body == "hé".encode()
    assert answer.fields["content-type"] == "text/plain; charset=utf-8"
    assert answer.fields["content-length"] == "3"
    assert answer.fields["date"].endswith(" GMT")
    assert "connection" not in answer.fields


def test_empty(ask):
    answer = ask(answering(lambda request: Response()))
    assert answer.fields["content-length"] == "0"
    assert "content-type" not in answer.fields


def test_bytes_without_a_type(ask):
    answer = ask(answering(lambda request: Response(body=b"abc", reason="So", status=299)))
    assert (answer.status, answer.reason, answer.body) == (299, "So", b"abc")
    assert answer.fields["content-type"] == "application/octet-stream"


def test_fields_of_the_application(ask):
    fields = {"X-One": "1", "Server": "mine", "Date": "never", "X-E": "é"}
    answer = ask(answering(lambda request: Response(text="a", headers=fields)))
    assert answer.fields["x-one"] == "1"
    assert answer.fields["server"] == "mine"
    assert answer.fields["date"] == "never"
    assert answer.fields["x-e"] == "é".encode().decode("latin-1")
    assert answer.fields["content-type"] == "text/plain; charset=utf-8"
    assert answer.fields["content-length"] == "1"
    for name in ("Server", "Date"):
        answer = ask(answering(lambda request, name=name: Response(headers={name: "mine"})))
        assert answer.fields[name.lower()] == "mine"
        assert answer.fields.keys() <= {"server", "date", "content-length"}


def test_cookies(ask):
    def make(request):
        response = Response(text="a")
        response.cookies["a"] = "b"
        response.cookies["a"]["path"] = "/"
        return response

    assert ask(answering(make)).fields["set-cookie"] == "a=b; Path=/"


@pytest.mark.parametrize("size", [16383, 16384, 16385, 300_000])
@pytest.mark.parametrize("kind", [bytes, bytearray, str])
def test_large_bodies(ask, size, kind):
    data = bytes(97 + i % 26 for i in range(size))
    if kind is str:
        answer = ask(answering(lambda request: Response(text=data.decode())))
    else:
        answer = ask(answering(lambda request: Response(body=kind(data))))
    assert answer.body == data


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_a_body(ask, status):
    answer = ask(answering(lambda request: Response(text="ignored", status=status)))
    assert answer.status == status
    assert "content-length" not in answer.fields
    assert "transfer-encoding" not in answer.fields


def test_head(ask):
    answer = ask(answering(lambda request: Response(text="abc")), method="HEAD")
    assert answer.fields["content-length"] == "3"
    assert answer.fields["content-type"] == "text/plain; charset=utf-8"


def test_head_of_a_stream(ask):
    async def handler(request):
        response = StreamResponse()
        await response.prepare(request)
        await response.write(b"abc")
        return response

    assert "transfer-encoding" not in ask(handler, method="HEAD").fields


@pytest.mark.parametrize(
    "make",
    [
        lambda request: Response(headers={"X-A": "b\r\nX-C: d"}),
        lambda request: Response(headers={"X-A": "b\0"}),
        lambda request: Response(headers={"X-A\r\nX-B": "c"}),
        lambda request: Response(headers={"X A": "c"}),
        lambda request: Response(headers={"": "c"}),
        lambda request: Response(text="a", content_type="a/b\r\nX-C: d"),
        lambda request: Response(text="a", headers={"Content-Length": "7"}),
        lambda request: Response(text="a", headers={"Content-Length": "-1"}),
        lambda request: Response(text="a", headers={"Content-Length": "x"}),
        lambda request: Response(text="a", headers={"Transfer-Encoding": "gzip"}),
    ],
)
def test_what_cannot_be_sent_becomes_500(ask, make, caplog):
    answer = ask(answering(make))
    assert answer.status == 500
    assert "x-c" not in answer.fields
    assert caplog.records


def test_cookies_that_are_none(ask, caplog):
    def make(request):
        response = Response()
        response._cookies = 7
        return response

    assert ask(answering(make)).status == 500
    assert caplog.records


def test_cookie_that_ends_a_line(ask, caplog):
    def make(request):
        response = Response()
        morsel = http.cookies.Morsel()
        morsel.__setstate__({"key": "a", "value": "b", "coded_value": "b\r\nX-C: d"})
        response._cookies = {"a": morsel}
        return response

    answer = ask(answering(make))
    assert answer.status == 500
    assert "x-c" not in answer.fields
    assert caplog.records


def test_a_response_is_for_one_request(ask, caplog):
    response = Response(text="a")
    assert ask(answering(lambda request: response), again=False).body == b"a"
    assert ask(answering(lambda request: response), again=False).status == 500
    assert "sent before" in caplog.text


def test_force_close(ask):
    def make(request):
        response = Response(text="a")
        response.force_close()
        return response

    assert ask(answering(make)).fields["connection"] == "close"


def test_connection_field_of_the_application(run, serving, req):
    async def main():
        handler = answering(lambda request: Response(text="a", headers={"Connection": "close"}))
        async with serving(handler) as server:
            client = await server.connect()
            answer = await client.ask(req())
            assert answer.fields["connection"] == "close"
            assert await client.closed()

    run(main())


# -- HTTP/1.0 -------------------------------------------------------------------------------------


def test_http_1_0(run, serving):
    async def main():
        async with serving(answering(lambda request: Response(text="a"))) as server:
            client = await server.connect()
            answer = await client.ask(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            assert (answer.version, answer.fields["connection"]) == ("HTTP/1.0", "keep-alive")
            answer = await client.ask(b"GET / HTTP/1.0\r\n\r\n")
            assert answer.body == b"a"
            assert "connection" not in answer.fields
            assert await client.closed()

    run(main())


def test_http_1_0_stream_ends_with_the_connection(run, serving):
    async def handler(request):
        response = StreamResponse()
        await response.prepare(request)
        await response.write(b"one")
        await response.write(b"two")
        return response

    async def main():
        async with serving(handler) as server:
            client = await server.connect()
            answer = await client.ask(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            assert answer.body == b"onetwo"
            assert answer.fields.keys().isdisjoint({"content-length", "transfer-encoding"})

    run(main())


def test_http_1_0_has_no_chunks(run, serving, caplog):
    def make(request):
        response = Response(text="a")
        response.enable_chunked_encoding()
        return response

    async def main():
        async with serving(answering(make)) as server:
            client = await server.connect()
            assert (await client.ask(b"GET / HTTP/1.0\r\n\r\n")).status == 500

    run(main())
    assert caplog.records


# -- streams --------------------------------------------------------------------------------------


def test_stream_in_chunks(ask):
    async def handler(request):
        response = StreamResponse(headers={"X-A": "b"})
        assert await response.prepare(request) is response
        assert await response.prepare(request) is response
        assert response.prepared
        assert repr(response) == "<StreamResponse OK GET / >"
        assert response.task is asyncio.current_task()
        for data in (b"one", bytearray(b"two"), memoryview(b"three"), b"", b"x" * 20000):
            await response.write(data)
        with pytest.raises(TypeError):
            await response.write("text")
        with pytest.raises(AssertionError):
            response.set_status(404)
        await response.drain()
        await response.write_eof(b"end")
        await response.write_eof()
        assert await response.prepare(request) is None
        assert response.body_length == 20014
        with pytest.raises(RuntimeError):
            await response.write(b"more")
        assert repr(response) == "<StreamResponse OK eof>"
        return response

    answer = ask(handler)
    assert answer.status == 200
    assert answer.fields["transfer-encoding"] == "chunked"
    assert answer.fields["content-type"] == "application/octet-stream"
    assert answer.body == b"onetwothree" + b"x" * 20000 + b"end"


def test_stream_without_end_is_ended(ask):
    async def handler(request):
        response = StreamResponse()
        await response.prepare(request)
        await response.write(b"abc")
        return response

    assert ask(handler).body == b"abc"


def test_stream_that_was_not_prepared(ask):
    answer = ask(answering(lambda request: StreamResponse(status=202)))
    assert (answer.status, answer.body) == (202, b"")


def test_stream_of_known_length(ask):
    async def handler(request):
        response = StreamResponse()
        response.content_length = 5
        response.content_type = "text/plain"
        await response.prepare(request)
        await response.write(b"abc")
        await response.write(b"defgh")
        await response.write(b"i")
        return response

    answer = ask(handler)
    assert answer.fields["content-length"] == "5"
    assert answer.fields["content-type"] == "text/plain"
    assert "transfer-encoding" not in answer.fields
    assert answer.body == b"abcde"


def test_stream_shorter_than_its_length_closes_the_connection(run, serving, req):
    async def handler(request):
        response = StreamResponse()
        response.content_length = 5
        await response.prepare(request)
        await response.write(b"abc")
        return response

    async def main():
        async with serving(handler) as server:
            client = await server.connect()
            with pytest.raises(asyncio.IncompleteReadError) as failure:
                await client.ask(req())
            assert failure.value.partial == b"abc"

    run(main())


def test_response_in_chunks(ask):
    def make(request):
        response = Response(text="abc")
        response.enable_chunked_encoding()
        return response

    answer = ask(answering(make))
    assert answer.fields["transfer-encoding"] == "chunked"
    assert "content-length" not in answer.fields
    assert answer.body == b"abc"


def test_transfer_encoding_field_means_chunks(ask):
    headers = {"Transfer-Encoding": "chunked"}
    answer = ask(answering(lambda request: Response(text="abc", headers=headers)))
    assert "content-length" not in answer.fields
    assert answer.body == b"abc"


def test_response_prepared_by_its_handler(ask):
    async def handler(request):
        response = Response(text="abc")
        await response.prepare(request)
        if "end" in request.query_string:
            await response.write_eof()
        return response

    for target in ("/", "/?end"):
        answer = ask(handler, target)
        assert (answer.body, answer.fields["content-length"]) == (b"abc", "3")


def test_writing_waits_for_a_slow_client(run, serving, req):
    total = 32 << 20
    waited = 0

    async def handler(request):
        nonlocal waited
        response = StreamResponse()
        response.content_length = total
        await response.prepare(request)
        piece = b"x" * 65536
        for _ in range(total // len(piece)):
            awaitable = response.write(piece)
            waited += asyncio.isfuture(awaitable)
            await awaitable
        return response

    async def main():
        async with serving(handler) as server:
            client = await server.connect(limit=1 << 16)
            answer = await client.ask(req())
            assert len(answer.body) == total

    run(main())
    assert waited > 0


def test_client_gone_while_writing(run, serving, req):
    failed = asyncio.Event()

    async def handler(request):
        response = StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 65536)
        except ConnectionResetError:
            failed.set()
            raise

    async def main():
        async with serving(handler) as server:
            client = await server.connect()
            await client.send(req())
            await client.reader.readexactly(100_000)
            client.abort()
            await failed.wait()

    run(main())


# -- what needs a coroutine -----------------------------------------------------------------------


class Payload(Response):
    """A body that is written by Python."""

    def _make_payload(self, body):
        return body

    async def _prepare_slow(self, request):
        await asyncio.sleep(0)
        self.headers["X-Slow"] = "yes"
        self._start(request)
        return self

    async def write_eof(self, data=b""):
        for piece in self.body:
            await self.write(piece)
        await super().write_eof(data)


async def finish(request, response):
    await response.prepare(request)
    await response.write_eof()


def test_responses_finished_by_python(run, serving, req):
    class Cold(Response):
        async def _prepare_slow(self, request):
            await asyncio.sleep(0)
            self._start(request)
            self._start(request)

    def make(request):
        if request.path == "/payload":
            return Payload(body=[b"one", b"two"])
        response = Cold(text="cold")
        response._cold = True
        return response

    async def main():
        async with serving(answering(make), finish=finish) as server:
            client = await server.connect()
            answer = await client.ask(req("/payload"))
            assert answer.fields["x-slow"] == "yes"
            assert answer.body == b"onetwo"
            assert (await client.ask(req("/cold"))).body == b"cold"

    run(main())


def test_signals_of_a_route(run, serving, req):
    class Signalled(Response):
        async def _prepare_slow(self, request):
            self.headers["X-Signal"] = "sent"
            self._start(request)

    async def main():
        router = _core.Router()
        router.add("GET", "/a", answering(lambda request: Signalled(text="a")), signals=True)
        router.add("GET", "/b", answering(lambda request: Signalled(text="b")))
        async with serving(None, router=router, finish=finish) as server:
            client = await server.connect()
            assert (await client.ask(req("/a"))).fields["x-signal"] == "sent"
            assert "x-signal" not in (await client.ask(req("/b"))).fields

    run(main())


def test_overridden_methods_are_called(run, serving, req):
    called = []

    class Own(StreamResponse):
        async def prepare(self, request):
            called.append("prepare")
            return await super().prepare(request)

        async def write_eof(self, data=b""):
            called.append("write_eof")
            await super().write_eof(b"own")

    async def main():
        async with serving(answering(lambda request: Own()), finish=finish) as server:
            client = await server.connect()
            assert (await client.ask(req())).body == b"own"

    run(main())
    assert called == ["prepare", "write_eof"]


def test_an_exception_that_holds_a_response(ask):
    class HttpError(Exception):
        def __init__(self):
            self.__http_response__ = Response(text="gone", status=410)

    async def handler(request):
        if request.path == "/return":
            return HttpError()
        raise HttpError

    for target in ("/return", "/raise"):
        answer = ask(handler, target)
        assert (answer.status, answer.body) == (410, b"gone")


def test_what_a_request_knows_of_its_connection(run, serving, req):
    kept = []

    async def handler(request):
        kept.append(request)
        host, port = request.get_extra_info("peername")
        assert host == "127.0.0.1"
        assert request.get_extra_info("nothing", port) == port
        assert request.transport.get_extra_info("peername") == (host, port)
        assert request.loop is asyncio.get_running_loop()
        assert request.protocol is not None
        assert request.task is asyncio.current_task()
        assert request.scheme == "http"
        return Response(text=request.host)

    async def main():
        async with serving(handler) as server:
            client = await server.connect()
            assert (await client.ask(req("/kept?a=b", X_A="b"))).body == b"localhost"
            assert (await client.ask(b"GET / HTTP/1.0\r\n\r\n")).body == b"127.0.0.1"
        first = kept[0]
        assert (first.path, first.query["a"], first.headers["x-a"]) == ("/kept", "b", "b")
        assert (first.transport, first.protocol) == (None, None)
        assert first.remote == "127.0.0.1"

    run(main())


def test_variables_of_the_path(run, serving, req):
    async def handler(request):
        await asyncio.sleep(0)  # the read buffer is used for something else meanwhile
        info = request.match_info
        return Response(text=f"{info['name']} {info.route} {request.app}")

    async def main():
        router = _core.Router()
        router.add("GET", "/user/{name}", handler, info="info", app="app")
        router.set_fallback(_core.Route(answering(lambda request: Response(status=404))))
        async with serving(None, router=router) as server:
            client = await server.connect()
            assert (await client.ask(req("/user/ann"))).body == b"ann info app"
            assert (await client.ask(req("/user/%41b%2F"))).body == b"Ab/ info app"
            assert (await client.ask(req("/nothing"))).status == 404

    run(main())


def test_a_response_prepared_for_another_connection(run, serving, req):
    shared = Response(text="shared")

    async def main():
        prepared, other_done = asyncio.Event(), asyncio.Event()

        async def handler(request):
            if request.path == "/first":
                await shared.prepare(request)
                prepared.set()
                await other_done.wait()
            return shared

        async with serving(handler) as server:
            first, second = await server.connect(), await server.connect()
            await first.send(req("/first"))
            await prepared.wait()
            assert (await second.ask(req("/second"))).status == 500
            other_done.set()
            assert (await first.read()).body == b"shared"

    run(main())


def test_an_old_response_does_not_end_a_stream(run, serving, req):
    old = []

    async def handler(request):
        stream = StreamResponse()
        await stream.prepare(request)
        if not old:
            await stream.write_eof(b"all")
            old.append(stream)
        await asyncio.sleep(0)
        return old[0]

    async def main():
        async with serving(handler) as server:
            client = await server.connect()
            assert (await client.ask(req())).body == b"all"
            with pytest.raises(asyncio.IncompleteReadError):
                await client.ask(req())

    run(main())


def test_a_request_has_one_head(ask):
    async def handler(request):
        stream = StreamResponse()
        await stream.prepare(request)
        with pytest.raises(RuntimeError, match="already sent"):
            await StreamResponse().prepare(request)
        await stream.write_eof(b"one")
        return stream

    assert ask(handler).body == b"one"


@pytest.mark.parametrize(
    "act", ["write", "fail", "hand over", "close", "answer", "change the body"]
)
def test_a_head_made_by_the_application_that_does_something_else(run, serving, req, act):
    class Morsel(http.cookies.Morsel):
        def OutputString(self, *args):  # noqa: N802
            request, response = self.made_for
            if act in ("write", "fail"):
                request.transport.write(b"!" * 100_000)
            if act == "fail":
                raise ZeroDivisionError
            if act == "hand over":
                request.protocol.hand_over(asyncio.Protocol())
            if act == "close":
                request.protocol.abort()
            if act == "answer":
                StreamResponse().prepare(request)
            if act == "change the body":
                response.body.clear()
            return "a=b"

    async def handler(request):
        if request.path == "/plain":
            return Response(text="plain")
        response = Response(body=bytearray(b"y" * 1000))
        morsel = Morsel()
        morsel.set("a", "b", "b")
        morsel.made_for = request, response
        dict.__setitem__(response.cookies, "a", morsel)
        return response

    async def main():
        async with serving(handler) as server:
            client = await server.connect()
            await client.send(req("/plain") + req("/evil"))
            if act in ("write", "fail"):
                client.end()
                received = await client.reader.read()
                assert received.count(b"!") == 100_000
                assert received.count(b"\r\n\r\n") == 2  # whole heads, neither lost nor twice
                assert (b"HTTP/1.1 500 " in received) == (act == "fail")
            for connection in server.http.connections:
                connection.abort()
            other = await server.connect()
            assert (await other.ask(req("/plain"))).body == b"plain"
            client.abort()

    run(main())
