"""Requests of the RFCs' and the smugglers' making, as data files, against the server's parser.

A case has ``input`` (latin-1; ``body`` stands for a chunked request with that body) and what must
come of it: ``requests``, those that are complete, each with the attributes that matter; ``status``,
with which the rest is refused; ``tunnel``, the bytes behind an upgrade. Each is fed whole, byte by
byte, and cut in two at every place, and must give the same every time.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from fastaio.http import HttpRequestError, RequestHead, RequestReader

CHUNKED = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def load() -> Iterable[Any]:
    for path in sorted((Path(__file__).parent / "http1").glob("*.toml")):
        for case in tomllib.loads(path.read_text())["case"]:
            yield pytest.param(case, id=f"{path.stem}: {case['id']}")


def read(pieces: Iterable[bytes]) -> dict[str, Any]:
    """What comes of the pieces: complete requests as (head, body), tunnel, status."""
    reader = RequestReader()
    events: list[RequestHead | bytes | None] = []
    status = None
    try:
        for piece in pieces:
            events += reader.feed(piece)
        events += reader.feed(b"")
    except HttpRequestError as exc:
        status = exc.status
        with pytest.raises(HttpRequestError):
            reader.feed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    requests: list[tuple[RequestHead, bytes]] = []
    head: RequestHead | None = None
    body = b""
    for event in events:
        if isinstance(event, RequestHead):
            head, body = event, b""
        elif event is None:
            assert head is not None
            requests.append((head, body))
            head, body = None, b""
        else:
            body += event
    tunnel = body if head is None else b""
    return {"requests": requests, "tunnel": tunnel, "status": status}


def cuts(data: bytes) -> Iterable[tuple[str, list[bytes]]]:
    yield "whole", [data]
    yield "bytes", [data[i : i + 1] for i in range(len(data))]
    for i in range(1, len(data)):
        yield f"cut at {i}", [data[:i], data[i:]]


def seen(head: RequestHead, body: bytes, name: str) -> Any:
    """An attribute of a request in the words of the data files."""
    if name == "body":
        return body.decode("latin-1")
    value = getattr(head, name)
    if name == "headers":
        return [[n.decode("latin-1"), v.decode("latin-1")] for n, v in value]
    if name == "content_length" and value is None:
        return -1
    return value.decode("latin-1") if isinstance(value, bytes) else value


@pytest.mark.parametrize("case", list(load()))
def test_case(case: dict[str, Any]) -> None:
    data = (case["input"] if "input" in case else CHUNKED + case["body"]).encode("latin-1")
    expected = case.get("requests", [])
    for how, pieces in cuts(data):
        result = read(pieces)
        assert result["status"] == case.get("status"), how
        assert len(result["requests"]) == len(expected), how
        for (head, body), wanted in zip(result["requests"], expected, strict=True):
            assert {name: seen(head, body, name) for name in wanted} == wanted, how
        assert result["tunnel"] == case.get("tunnel", "").encode("latin-1"), how
