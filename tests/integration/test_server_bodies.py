"""Request bodies: whole, chunked, in pieces, too large, cut short, unread, expected."""

import asyncio
import json

import pytest

from fastaio.http import Response, StreamResponse


async def echo(request):
    return Response(body=await request.read())


async def count(request):
    """Reads piece by piece."""
    size = 0
    async for piece in request.content.iter_any():
        size += len(piece)
    return Response(text=str(size))


async def ignore(request):
    return Response(text="ignored")


def chunked(*pieces, target="/", more=b""):
    head = f"POST {target} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n".encode()
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return head + more + b"\r\n" + body + b"0\r\n\r\n"


def posted(size, target="/", more=""):
    head = f"POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n{more}\r\n"
    return head.encode()


@pytest.mark.parametrize("size", [0, 1, 1000, 100_000, 1_000_000])
def test_a_body_comes_back(run, serving, size):
    body = bytes(i % 251 for i in range(size))

    async def main():
        async with serving(echo) as server:
            client = await server.connect()
            for _ in range(2):
                assert (await client.ask(posted(size) + body)).body == body

    run(main())


@pytest.mark.parametrize("cut", [1, 3, 50])
def test_a_body_in_pieces(run, serving, cut):
    data = posted(26) + b"abcdefghijklmnopqrstuvwxyz" + chunked(b"one", b"two", b"three")

    async def main():
        async with serving(echo) as server:
            client = await server.connect()
            for i in range(0, len(data), cut):
                await client.send(data[i : i + cut])
                await asyncio.sleep(0)
            assert (await client.read()).body == b"abcdefghijklmnopqrstuvwxyz"
            assert (await client.read()).body == b"onetwothree"

    run(main())


@pytest.mark.parametrize("pieces", [(), (b"one",), (b"a", b"bc", b"def"), (b"x" * 70000,) * 3])
def test_a_chunked_body(run, serving, pieces):
    async def main():
        async with serving(echo) as server:
            client = await server.connect()
            for _ in range(2):
                assert (await client.ask(chunked(*pieces))).body == b"".join(pieces)

    run(main())


async def chunks(request):
    """The pieces that iter_chunks() gives, with where chunks ended."""
    seen = [[piece.decode(), end] async for piece, end in request.content.iter_chunks()]
    return Response(text=json.dumps(seen))


def test_the_ends_of_chunks_that_came_with_the_head(run, serving):
    async def main():
        async with serving(chunks) as server:
            client = await server.connect()
            for pieces in [("one",), ("one", "two", "three")]:
                answer = await client.ask(chunked(*(piece.encode() for piece in pieces)))
                assert json.loads(answer.body) == [[piece, True] for piece in pieces]
            answer = await client.ask(posted(3) + b"one")
            assert json.loads(answer.body) == [["one", False]]

    run(main())


@pytest.mark.parametrize("early", [b"", b"3\r\none\r\n3\r\ntwo\r\n", b"3\r\none\r\n3\r\ntw"])
def test_the_ends_of_chunks_that_come_later(run, serving, early):
    wire = b"3\r\none\r\n3\r\ntwo\r\n5\r\nthree\r\n0\r\n\r\n"
    called = asyncio.Event()

    async def handler(request):
        called.set()
        return await chunks(request)

    async def main():
        async with serving(handler) as server:
            client = await server.connect()
            head = chunked().removesuffix(b"0\r\n\r\n")
            await client.send(head + early)
            await called.wait()
            seen = json.loads((await client.ask(wire.removeprefix(early))).body)
            text = "".join(piece + "|" * end for piece, end in seen)
            assert text == "one|two|three|"

    run(main())


def test_a_slow_reader_stops_the_sender(run, serving):
    """What is unread is bounded, however much is sent."""
    go_on = asyncio.Event()
    total = 32 << 20

    async def handler(request):
        await go_on.wait()
        return await count(request)

    async def main():
        async with serving(handler, max_body=0) as server:
            client = await server.connect()
            client.writer.write(posted(total))
            sent = 0
            piece = bytes(1 << 20)
            while sent < total:
                client.writer.write(piece)
                sent += len(piece)
                if not go_on.is_set():
                    try:
                        await asyncio.wait_for(client.writer.drain(), 0.3)
                    except TimeoutError:
                        assert sent < total  # the server has stopped reading
                        go_on.set()
                else:
                    await client.writer.drain()
            assert go_on.is_set()
            assert (await client.read()).body == str(total).encode()

    run(main())


def test_a_length_over_the_limit_is_413_and_the_handler_not_called(run, serving):
    called = []

    async def handler(request):
        called.append(request)
        return Response()

    async def main():
        async with serving(handler, max_body=1000) as server:
            client = await server.connect()
            answer = await client.ask(posted(1001))
            assert answer.status == 413
            assert answer.fields["connection"] == "close"
            assert await client.closed()
            client = await server.connect()
            assert (await client.ask(posted(1000) + bytes(1000))).status == 200

    run(main())
    assert len(called) == 1


def test_413_reaches_a_client_that_goes_on_sending(run, serving):
    async def main():
        async with serving(echo, max_body=1000) as server:
            client = await server.connect()
            client.writer.write(posted(4 << 20))
            for _ in range(64):
                client.writer.write(bytes(1 << 16))
                await asyncio.sleep(0)
            assert (await client.read()).status == 413

    run(main())


def test_chunks_over_the_limit_are_413(run, serving):
    async def main():
        async with serving(echo, max_body=1000) as server:
            for cut in (None, 600):
                client = await server.connect()
                data = chunked(bytes(600), bytes(600))
                await client.send(data[:cut])
                if cut:
                    await asyncio.sleep(0.01)
                    await client.send(data[cut:])
                assert (await client.read()).status == 413
                assert await client.closed()

    run(main())


def test_malformed_chunks_are_400_and_the_handler_not_called(run, serving):
    called = []

    async def handler(request):
        called.append(request)
        return Response()

    async def main():
        async with serving(handler) as server:
            client = await server.connect()
            head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            assert (await client.ask(head + b"3\r\nabcX\r\n0\r\n\r\n")).status == 400
            assert await client.closed()

    run(main())
    assert called == []


def test_malformed_chunks_behind_the_first_read(run, serving):
    async def main():
        async with serving(echo) as server:
            client = await server.connect()
            await client.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            await client.send(b"3\r\nabc\r\n")
            await asyncio.sleep(0.01)
            await client.send(b"zz\r\n" + b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await client.read()).status == 400
            assert await client.closed()
            assert server.http.requests_count == 1

    run(main())


def test_a_body_cut_short_fails_its_reader(run, serving):
    seen = []

    async def handler(request):
        try:
            await request.read()
        except Exception as exc:
            seen.append(exc)
            raise
        return Response()

    async def main():
        async with serving(handler) as server:
            client = await server.connect()
            await client.send(posted(10) + b"12345")
            await asyncio.sleep(0.01)
            client.end()
            assert (await client.read()).status == 400
            assert await client.closed()

    run(main())
    assert len(seen) == 1


def test_a_client_gone_in_the_middle_of_a_body(run, serving):
    seen = asyncio.Event()

    async def handler(request):
        try:
            await request.read()
        except ConnectionError:
            seen.set()
            raise
        return Response()

    async def main():
        async with serving(handler) as server:
            client = await server.connect()
            await client.send(posted(10) + b"12345")
            await asyncio.sleep(0.01)
            client.abort()
            await seen.wait()

    run(main())


@pytest.mark.parametrize("size", [10, 100_000])
def test_an_unread_body_is_drained(run, serving, req, size):
    async def main():
        async with serving(ignore) as server:
            client = await server.connect()
            await client.send(posted(size) + bytes(size // 2))
            assert (await client.read()).body == b"ignored"
            await client.send(bytes(size - size // 2) + req("/next"))
            assert (await client.read()).body == b"ignored"

    run(main())


def test_an_unread_body_too_large_to_drain_closes(run, serving):
    async def main():
        async with serving(ignore, max_body=0) as server:
            client = await server.connect()
            await client.send(posted(1 << 30) + bytes(1000))
            answer = await client.read()
            assert answer.body == b"ignored"
            assert answer.fields["connection"] == "close"
            assert await client.closed()

    run(main())


def test_continue_is_sent_when_the_body_is_wanted(run, serving):
    asked = asyncio.Event()

    async def handler(request):
        await asked.wait()
        return await echo(request)

    async def main():
        async with serving(handler) as server:
            client = await server.connect()
            await client.send(posted(3, more="Expect: 100-continue\r\n"))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.read(), 0.05)
            asked.set()
            assert (await client.read()).status == 100
            assert (await client.ask(b"abc")).body == b"abc"
            # And none where the body is there already.
            assert (await client.ask(posted(3, more="Expect: 100-continue\r\n") + b"abc")).body

    run(main())


def test_an_expected_body_that_is_not_wanted_closes(run, serving):
    async def main():
        async with serving(ignore) as server:
            client = await server.connect()
            answer = await client.ask(posted(3, more="Expect: 100-continue\r\n"))
            assert answer.body == b"ignored"
            assert answer.fields["connection"] == "close"
            assert await client.closed()

    run(main())


def test_another_expectation_is_417(run, serving):
    async def main():
        async with serving(ignore) as server:
            client = await server.connect()
            assert (await client.ask(posted(3, more="Expect: 200-ok\r\n"))).status == 417
            assert await client.closed()

    run(main())


def test_a_body_is_read_while_the_answer_is_sent(run, serving):
    async def handler(request):
        response = StreamResponse()
        await response.prepare(request)
        async for piece in request.content.iter_any():
            await response.write(piece.upper())
        await response.write_eof()
        return response

    async def main():
        async with serving(handler) as server:
            client = await server.connect()
            await client.send(posted(6) + b"abc")
            await client.reader.readuntil(b"ABC")
            await client.send(b"def")
            await client.reader.readuntil(b"DEF\r\n0\r\n\r\n")

    run(main())


def test_a_stalled_body_times_out(run, serving):
    async def main():
        async with serving(echo, body_timeout=0.1) as server:
            client = await server.connect()
            await client.send(posted(10) + b"12345")
            assert (await client.read()).status == 408
            assert await client.closed()

    run(main())
