"""StreamReader: bytes in by feed_data(), out by its coroutines (http/body.c, body_read.c,
py_body.c)."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from fastaio.http import StreamReader

Test = Callable[..., Awaitable[None]]


class Source:
    """What a StreamReader pauses and resumes; remembers it."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def pause_reading(self) -> None:
        self.calls.append("pause")

    def resume_reading(self) -> None:
        self.calls.append("resume")


def make(limit: int = 1024) -> tuple[StreamReader, Source]:
    source = Source()
    return StreamReader(source, limit, loop=asyncio.get_running_loop()), source


def run(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    def wrapper() -> None:
        asyncio.run(test())

    wrapper.__name__ = test.__name__
    wrapper.__doc__ = test.__doc__
    return wrapper


async def pause() -> None:
    await asyncio.sleep(0)


@run
async def test_read_gives_at_once_what_is_there() -> None:
    reader, _ = make()
    reader.feed_data(b"abcdef")
    with pytest.raises(StopIteration) as info:
        reader.read(4).send(None)
    assert info.value.value == b"abcd"
    assert await reader.read(0) == b""
    assert await reader.read(10) == b"ef"


@run
async def test_read_waits_for_bytes() -> None:
    reader, _ = make()
    task = asyncio.create_task(reader.read(10))
    await pause()
    assert not task.done()
    reader.feed_data(b"abc")
    assert await task == b"abc"


@run
async def test_read_at_the_end() -> None:
    reader, _ = make()
    reader.feed_eof()
    assert await reader.read(3) == b""
    assert await reader.read() == b""
    assert await reader.readany() == b""
    assert await reader.readline() == b""
    assert await reader.readchunk() == (b"", False)
    assert reader.at_eof()


@run
async def test_read_all_waits_for_the_end() -> None:
    reader, source = make(4)
    task = asyncio.create_task(reader.read())
    await pause()
    for _ in range(20):
        reader.feed_data(b"0123456789")
    await pause()
    assert not task.done()
    reader.feed_eof()
    assert await task == b"0123456789" * 20
    assert source.calls == []
    assert reader.total_bytes == 200


@run
async def test_readexactly() -> None:
    reader, source = make(2)
    task = asyncio.create_task(reader.readexactly(9))
    await pause()
    for piece in (b"abc", b"def", b"ghi", b"jkl"):
        reader.feed_data(piece)
    assert await task == b"abcdefghi"
    assert await reader.readexactly(0) == b""
    reader.feed_eof()
    with pytest.raises(asyncio.IncompleteReadError) as info:
        await reader.readexactly(4)
    assert (info.value.partial, info.value.expected) == (b"jkl", 4)


@run
async def test_readline_across_pieces() -> None:
    reader, _ = make()
    task = asyncio.create_task(reader.readline())
    await pause()
    reader.feed_data(b"one")
    await pause()
    reader.feed_data(b" line\nnext")
    assert await task == b"one line\n"
    reader.feed_eof()
    assert await reader.readline() == b"next"
    assert await reader.readline() == b""


@run
async def test_readuntil_separator_across_pieces() -> None:
    reader, _ = make()
    task = asyncio.create_task(reader.readuntil(b"--ab"))
    await pause()
    for piece in (b"x--", b"-", b"-a", b"b", b"rest"):
        reader.feed_data(piece)
        await pause()
    assert await task == b"x----ab"
    assert await reader.readany() == b"rest"
    with pytest.raises(ValueError):
        reader.readuntil(b"")


@run
async def test_line_too_long() -> None:
    reader, _ = make(4)
    reader.feed_data(b"123456789\n")
    with pytest.raises(ValueError, match="longer than 8 bytes"):
        await reader.readline()
    assert await reader.readline(max_line_length=10) == b"123456789\n"
    reader.feed_data(b"x" * 21)
    with pytest.raises(ValueError, match="longer than 20 bytes"):
        await reader.readline()


@run
async def test_iterators() -> None:
    reader, _ = make()
    reader.feed_data(b"a\nbb\nccc")
    reader.feed_eof()
    assert [line async for line in reader] == [b"a\n", b"bb\n", b"ccc"]
    reader, _ = make()
    reader.feed_data(b"abcdefgh")
    reader.feed_eof()
    assert [piece async for piece in reader.iter_chunked(3)] == [b"abc", b"def", b"gh"]
    reader, _ = make()
    reader.feed_data(b"abc")
    reader.feed_eof()
    assert [piece async for piece in reader.iter_any()] == [b"abc"]
    reader, _ = make()
    reader.feed_data(b"abc")
    reader.feed_eof()
    assert [piece async for piece in reader.iter_chunks()] == [(b"abc", False)]
    with pytest.raises(ValueError):
        reader.iter_chunked(0)


@run
async def test_pauses_and_resumes() -> None:
    reader, source = make(4)
    assert reader.get_read_buffer_limits() == (4, 8)
    reader.feed_data(b"12345678")
    assert source.calls == []
    reader.feed_data(b"9")
    reader.feed_data(b"9")
    assert source.calls == ["pause"]
    assert await reader.read(1) == b"1"
    await reader.read(4)
    assert source.calls == ["pause"]
    await reader.read(2)
    assert source.calls == ["pause", "resume"]


@run
async def test_larger_reads_raise_the_limits() -> None:
    reader, source = make(4)
    reader.feed_data(b"x" * 9)
    assert source.calls == ["pause"]
    task = asyncio.create_task(reader.readexactly(20))
    await pause()
    assert source.calls == ["pause", "resume"]
    assert reader.get_read_buffer_limits() == (20, 40)
    reader.feed_data(b"x" * 11)
    assert await task == b"x" * 20


@run
async def test_source_feeds_while_it_is_resumed() -> None:
    class Eager(Source):
        def resume_reading(self) -> None:
            super().resume_reading()
            reader.feed_data(b"more")

    source = Eager()
    reader = StreamReader(source, 2)
    reader.feed_data(b"12345")
    assert await reader.readany() == b"12345"
    assert await reader.readany() == b"more"


@run
async def test_second_reader_is_refused() -> None:
    reader, _ = make()
    first = asyncio.create_task(reader.readany())
    await pause()
    with pytest.raises(RuntimeError, match="already waiting"):
        await reader.readany()
    with pytest.raises(RuntimeError, match="waiting"):
        reader.read_nowait()
    reader.feed_data(b"x")
    assert await first == b"x"


@run
async def test_cancelled_reader_leaves_room_for_the_next() -> None:
    reader, _ = make()
    task = asyncio.create_task(reader.readany())
    await pause()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    second = asyncio.create_task(reader.readany())
    await pause()
    reader.feed_data(b"x")
    assert await second == b"x"


@run
async def test_timeout() -> None:
    reader, _ = make()
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(reader.readany(), 0.001)
    with pytest.raises(asyncio.TimeoutError):
        async with asyncio.timeout(0.001):
            await reader.readany()
    reader.feed_data(b"x")
    assert await reader.readany() == b"x"


@run
async def test_exception() -> None:
    reader, _ = make()
    task = asyncio.create_task(reader.readany())
    eof = asyncio.create_task(reader.wait_eof())
    await pause()
    error = ConnectionResetError("gone")
    assert reader.exception() is None
    reader.set_exception(error)
    for waiting in (task, eof):
        with pytest.raises(ConnectionResetError):
            await waiting
    assert reader.exception() is error
    for method in (reader.read, reader.readany, reader.readline, reader.readchunk):
        with pytest.raises(ConnectionResetError):
            await method()
    with pytest.raises(ConnectionResetError):
        await reader.readexactly(1)
    with pytest.raises(ConnectionResetError):
        reader.read_nowait()
    reader.feed_data(b"ignored")
    assert reader.total_bytes == 0


@run
async def test_eof_is_told() -> None:
    reader, _ = make()
    told: list[int] = []
    reader.on_eof(lambda: told.append(1))
    waiting = asyncio.create_task(reader.wait_eof())
    await pause()
    reader.feed_data(b"x")
    assert not reader.is_eof()
    reader.feed_eof()
    reader.feed_eof()
    await waiting
    assert told == [1]
    reader.on_eof(lambda: told.append(2))
    assert told == [1, 2]
    assert reader.is_eof() and not reader.at_eof()
    with pytest.raises(RuntimeError):
        reader.feed_data(b"more")
    await reader.wait_eof()


@run
async def test_chunks() -> None:
    reader, source = make()
    for chunk in ([b"ab", b"c"], [b"def"], [b"g"]):
        for piece in chunk:
            reader.feed_data(piece)
        reader.end_http_chunk_receiving()
    reader.end_http_chunk_receiving()
    assert await reader.readchunk() == (b"abc", True)
    assert await reader.read(2) == b"de"
    assert await reader.readchunk() == (b"f", True)
    assert await reader.read(1) == b"g"
    reader.feed_data(b"tail")
    assert await reader.readchunk() == (b"", True)
    reader.feed_eof()
    assert [item async for item in reader.iter_chunks()] == [(b"tail", False)]
    assert source.calls == []


@run
async def test_many_small_chunks_pause_the_source() -> None:
    reader, source = make(1 << 20)
    for _ in range(5000):
        reader.feed_data(b"x")
        reader.end_http_chunk_receiving()
    assert source.calls == ["pause"]
    count = 0
    while count < 5000:
        assert await reader.readchunk() == (b"x", True)
        count += 1
    assert source.calls == ["pause", "resume"]
    task = asyncio.create_task(reader.readchunk())
    await pause()
    reader.feed_data(b"y")
    reader.end_http_chunk_receiving()
    assert await task == (b"y", True)


@run
async def test_read_nowait() -> None:
    reader, _ = make()
    assert reader.read_nowait() == b""
    reader.feed_data(b"abc")
    assert reader.read_nowait(2) == b"ab"
    assert reader.read_nowait() == b"c"


@run
async def test_a_read_is_used_once() -> None:
    reader, _ = make()
    reader.feed_data(b"abc")
    read = reader.read(1)
    assert asyncio.iscoroutine(read)
    assert await read == b"a"
    with pytest.raises(RuntimeError):
        await read
    unused = reader.read(1)
    unused.close()
    with pytest.raises(RuntimeError):
        await unused
    thrown = reader.read(1)
    with pytest.raises(KeyError):
        thrown.throw(KeyError("x"))
    assert await reader.readany() == b"bc"


@run
async def test_arguments_are_checked() -> None:
    reader, _ = make()
    for call in (
        lambda: reader.read("x"),
        lambda: reader.readexactly(),
        lambda: reader.readexactly(None),
        lambda: reader.feed_data("x"),
        lambda: reader.feed_data(),
        lambda: reader.set_exception("x"),
        lambda: reader.iter_chunked(None),
        lambda: StreamReader(),
        lambda: StreamReader(None, "x"),
    ):
        with pytest.raises(TypeError):
            call()
    assert "0 bytes" in repr(reader)


def test_needs_a_running_loop_or_one_given() -> None:
    with pytest.raises(RuntimeError):
        StreamReader(Source(), 10)


@run
async def test_no_reference_is_left() -> None:
    reader, source = make()
    task = asyncio.create_task(reader.readany())
    await pause()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gone = weakref.ref(reader)
    source_gone: Any = weakref.ref(source)
    del reader, source, task
    await pause()  # the callback that woke this one holds the task until it returns
    gc.collect()
    assert gone() is None and source_gone() is None
