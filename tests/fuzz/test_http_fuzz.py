"""Mutations of the conformance cases, from a seed: cutting must not matter, the server's parser
must not accept what llhttp alone refuses, and nothing may fail in any other way than it says.

``fuzz_http.c`` beside this file is the same for libFuzzer, for longer runs by hand.
"""

from __future__ import annotations

import contextlib
import random
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fastaio.http as http

SEED = 20_261_123
ROUNDS = 15_000
LIMITS = {"line": 200, "field": 100, "fields": 12, "head": 600, "body": 300}
CHUNKED = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
WORDS = [
    b"\r\n", b"\r", b"\n", b"\0", b" ", b"\t", b":", b";", b",", b"\x7f", b"\xff", b"0\r\n\r\n",
    b"HTTP/1.0", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: b\r\n",
    b"Connection: close\r\n", b"Connection: upgrade\r\nUpgrade: x\r\n", b"ffffffffffffffff",
    b"CONNECT ", b"chunked", b"a" * 90,
]  # fmt: skip


def corpus() -> list[bytes]:
    folder = Path(__file__).parent.parent / "conformance" / "http1"
    found = []
    for path in sorted(folder.glob("*.toml")):
        for case in tomllib.loads(path.read_text())["case"]:
            text = case["input"] if "input" in case else CHUNKED + case["body"]
            found.append(text.encode("latin-1"))
    return found


def mutated(rng: random.Random, seeds: list[bytes]) -> bytes:
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.randrange(1, 5)):
        at = rng.randrange(len(data) + 1)
        how = rng.randrange(6)
        if how == 0:
            data[at:at] = rng.choice(WORDS)
        elif how == 1:
            del data[at : at + rng.randrange(1, 9)]
        elif how == 2:
            data[at : at + 1] = bytes([rng.randrange(256)])
        elif how == 3:
            other = rng.choice(seeds)
            data[at:] = other[rng.randrange(len(other)) :]
        elif how == 4:
            data[at:at] = data[at : at + rng.randrange(1, 40)]
        else:
            data += rng.choice(seeds)
    return bytes(data[:1500])


def outcome(data: bytes, cut: Callable[[bytes], list[bytes]]) -> tuple[list[Any], int | None]:
    """Events with pieces of bodies joined, and the status of the refusal if there is one."""
    reader = http.RequestReader(**LIMITS)
    events: list[Any] = []
    try:
        for piece in [*cut(data), b""]:
            for event in reader.feed(piece):
                if isinstance(event, bytes) and events and isinstance(events[-1], bytes):
                    events[-1] += event
                else:
                    events.append(event)
    except http.HttpRequestError as exc:
        return events, exc.status
    return events, None


def test_cutting_does_not_matter() -> None:
    rng = random.Random(SEED)
    seeds = corpus()

    def at_random(data: bytes) -> list[bytes]:
        marks = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randrange(1, 12)))
        return [data[a:b] for a, b in zip([0, *marks], [*marks, len(data)], strict=True)]

    refused = 0
    for _ in range(ROUNDS):
        data = mutated(rng, seeds)
        events, status = outcome(data, lambda data: [data])
        assert outcome(data, at_random)[1] == status, data
        cut_events, _ = outcome(data, lambda data: [data[i : i + 1] for i in range(len(data))])
        if status is None:
            assert cut_events == events, data
        else:
            assert status in (400, 413, 414, 431, 501, 505)
            refused += 1
    assert ROUNDS // 10 < refused < ROUNDS, "the mutations hit only one kind"


class Counter:
    def __init__(self) -> None:
        self.messages = 0

    def on_message_complete(self) -> None:
        self.messages += 1


def test_never_laxer_than_llhttp() -> None:
    rng = random.Random(SEED + 1)
    seeds = corpus()
    for _ in range(ROUNDS):
        data = mutated(rng, seeds)
        reader = http.RequestReader(line=8190, field=8190, head=1 << 20, body=0)
        try:
            events = reader.feed(data)
        except http.HttpRequestError:
            continue
        heads = [event for event in events if isinstance(event, http.RequestHead)]
        if any(b"\t" in data and head.chunked for head in heads):
            continue  # RFC 9110 5.6.3: white space, but llhttp knows no tab behind "chunked"
        counter = Counter()
        parser = http.HttpRequestParser(counter)
        with contextlib.suppress(http.HttpParserError, http.HttpParserUpgrade):
            parser.feed_data(data)
        assert counter.messages >= events.count(None), data


@pytest.mark.parametrize(
    "function",
    [http.parse_url, http.unquote, http.parse_query, http.parse_cookies],
    ids=lambda f: f.__name__,
)
def test_codecs_take_any_bytes(function: Callable[[bytes], object]) -> None:
    rng = random.Random(SEED + 2)
    seeds = [*corpus(), b'a="b\\073"; c=d', b"a=%ff&b=+%e4%bd%a0", b"http://u:p@[::1%a]:80/b?c#d"]
    for _ in range(ROUNDS):
        try:
            function(mutated(rng, seeds))
        except http.HttpParserInvalidURLError:
            assert function is http.parse_url


def test_response_parser_takes_any_bytes() -> None:
    rng = random.Random(SEED + 3)
    seeds = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n",
        b"HTTP/1.0 304 Not Modified\r\nX: y\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nabc",
    ]
    for _ in range(ROUNDS):
        data = mutated(rng, seeds)
        for step in (len(data) + 1, 3):
            parser = http.HttpResponseParser(None)
            try:
                for i in range(0, len(data), step):
                    parser.feed_data(data[i : i + step])
            except (http.HttpParserError, http.HttpParserUpgrade):
                pass
