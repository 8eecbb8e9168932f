"""MultipartParser (http/multipart.c, py_multipart.c; RFC 2046 5.1, RFC 7578)."""

from __future__ import annotations

import random
from typing import Any

import pytest

from fastaio.http import HttpRequestError, MultipartParser

BODY = (
    b"--b0\r\n"
    b'Content-Disposition: form-data; name="a"\r\n\r\n'
    b"value\r\n"
    b"--b0\r\n"
    b'Content-Disposition: form-data; name="f"; filename="x.bin"\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n"
    b"line\r\n--b\r\n-\r\r\n--b1\r\n\r\n"
    b"--b0--\r\n"
)
PARTS = [
    ([(b"Content-Disposition", b'form-data; name="a"')], b"value"),
    (
        [
            (b"Content-Disposition", b'form-data; name="f"; filename="x.bin"'),
            (b"Content-Type", b"application/octet-stream"),
        ],
        b"line\r\n--b\r\n-\r\r\n--b1\r\n",
    ),
]


def parse(pieces: list[bytes], boundary: bytes = b"b0", **limits: int) -> list[Any]:
    parser = MultipartParser(boundary, **limits)
    parts: list[Any] = []
    ended = 0
    for piece in pieces:
        for event in parser.feed(piece):
            if isinstance(event, list):
                parts.append((event, b""))
            elif event is None:
                ended += 1
            else:
                assert event and ended == len(parts) - 1
                parts[-1] = (parts[-1][0], parts[-1][1] + event)
    parser.close()
    assert parser.done and ended == len(parts)
    return parts


def status(body: bytes, **limits: int) -> int | None:
    """With which status `body` is refused, whole and byte by byte."""
    seen = set()
    for pieces in ([body], [body[i : i + 1] for i in range(len(body))]):
        try:
            parse(pieces, **limits)
            seen.add(None)
        except HttpRequestError as exc:
            seen.add(exc.status)
    assert len(seen) == 1
    return seen.pop()


def test_whole_and_in_pieces() -> None:
    assert parse([BODY]) == PARTS
    assert parse([BODY[i : i + 1] for i in range(len(BODY))]) == PARTS
    for cut in range(1, len(BODY)):
        assert parse([BODY[:cut], BODY[cut:]]) == PARTS
    assert parse([bytearray(BODY)]) == PARTS  # type: ignore[list-item]


def test_preamble_and_epilogue_are_dropped() -> None:
    assert parse([b"This is\r\na --b0 preamble\r\n" + BODY + b"epilogue\r\n--b0\r\n\r\n"]) == PARTS
    assert parse([b"\r\n" + BODY]) == PARTS


@pytest.mark.parametrize(
    "content", [b"", b"\r\n", b"\r", b"\n", b"--", b"-", b"\r\n--b", b"x" * 9999]
)
def test_contents(content: bytes) -> None:
    body = b"--b0\r\nA: b\r\n\r\n" + content + b"\r\n--b0--"
    for pieces in ([body], [body[i : i + 1] for i in range(len(body))]):
        assert parse(pieces) == [([(b"A", b"b")], content)]


def test_parts_without_fields_or_content() -> None:
    assert parse([b"--b0\r\n\r\ntext\r\n--b0--"]) == [([], b"text")]
    assert parse([b"--b0\r\nA: b\r\n\r\n--b0--"]) == [([(b"A", b"b")], b"")]
    assert parse([b"--b0--"]) == []


def test_white_space_behind_a_boundary() -> None:
    assert parse([b"--b0 \t\r\nA: b\r\n\r\nx\r\n--b0 \r\n\r\ny\r\n--b0--"]) == [
        ([(b"A", b"b")], b"x"),
        ([], b"y"),
    ]


def test_binary_content() -> None:
    rng = random.Random(1)
    content = rng.randbytes(100_000) + b"\r\n--b" * 1000
    body = b"--b0\r\n\r\n" + content + b"\r\n--b0--"
    pieces = []
    at = 0
    while at < len(body):
        size = rng.randrange(1, 3000)
        pieces.append(body[at : at + size])
        at += size
    assert parse(pieces) == [([], content)]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"--b0", b"--b0\r\n", b"--b0\r\nA: b\r\n\r\nx", b"--b0\r\nA: b\r\n\r\nx\r\n--b0",
        b"--b0\r\nA: b\r\n\r\nx\r\n--b0-", b"--b0x\r\n\r\n", b"--b0\n\n", b"--b0\r\nno colon\r\n",
        b"--b0\r\nA : b\r\n\r\n", b"--b0\r\n: b\r\n\r\n", b"--b0\r\nA: b\r\n c\r\n\r\n",
        b"--b0\r\nA: b\0\r\n\r\n", b"--b0\r\nA: b\nB: c\r\n\r\n", b"--b0\r\n\r\nx\r\n--b0x\r\n",
    ],
)  # fmt: skip
def test_malformed(body: bytes) -> None:
    assert status(body) == 400


def test_limits() -> None:
    part = b"--b0\r\nA: b\r\n\r\nx\r\n"
    assert status(part * 3 + b"--b0--", parts=3) is None
    assert status(part * 3 + b"--b0--", parts=2) == 413
    field = b"A: " + b"b" * 50
    assert status(b"--b0\r\n" + field + b"\r\n\r\n\r\n--b0--", head=60) is None
    assert status(b"--b0\r\n" + field + b"\r\n\r\n\r\n--b0--", head=50) == 413
    assert status(b"x" * 100 + b"\r\n" + part + b"--b0--", head=50) == 413
    assert status(b"--b0\r\n" + b"A: b\r\n" * 16 + b"\r\n\r\n--b0--") is None
    assert status(b"--b0\r\n" + b"A: b\r\n" * 17 + b"\r\n\r\n--b0--") == 413
    assert status(b"--b0" + b" " * 100, head=50) == 413


def test_an_error_stays() -> None:
    parser = MultipartParser(b"b0")
    for data in (b"--b0x\r\n", BODY, b""):
        with pytest.raises(HttpRequestError, match="malformed multipart delimiter") as info:
            parser.feed(data)
        assert info.value.status == 400
    with pytest.raises(HttpRequestError):
        parser.close()


@pytest.mark.parametrize("boundary", [b"", b"x" * 71, b"a ", b"a\r\n", b"a\0", b"\xff"])
def test_boundaries_refused(boundary: bytes) -> None:
    with pytest.raises(ValueError, match="boundary"):
        MultipartParser(boundary)


def test_longest_boundary() -> None:
    boundary = b"'()+_,-./:=? a" + b"x" * 56
    assert parse([b"--" + boundary + b"--"], boundary) == []


def test_arguments() -> None:
    for args in ((), ("b0",), (b"b0", 1)):
        with pytest.raises(TypeError):
            MultipartParser(*args)  # type: ignore[arg-type]
    with pytest.raises(OverflowError):
        MultipartParser(b"b0", parts=-1)
    with pytest.raises(ValueError, match="head must be at most"):
        MultipartParser(b"b0", head=1 << 40)
    with pytest.raises(TypeError):
        MultipartParser(b"b0").feed("x")  # type: ignore[arg-type]
