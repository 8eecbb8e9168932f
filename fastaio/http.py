"""HTTP/1.1 without a framework: parsers and codecs in C, usable on any loop or none.

``HttpRequestParser``, ``HttpResponseParser`` and ``parse_url`` have the interface of httptools;
``RequestReader`` reads requests with all the checks and limits of fastaio's server.
"""

from __future__ import annotations

from ._core import (
    URL,
    HttpParserCallbackError,
    HttpParserError,
    HttpParserInvalidMethodError,
    HttpParserInvalidStatusError,
    HttpParserInvalidURLError,
    HttpParserUpgrade,
    HttpRequestError,
    HttpRequestParser,
    HttpResponseParser,
    MultipartParser,
    RequestHead,
    RequestReader,
    StreamReader,
    http_date,
    parse_cookies,
    parse_http_date,
    parse_query,
    parse_url,
    response_head,
    unquote,
)

__all__ = [
    "URL",
    "HttpParserCallbackError",
    "HttpParserError",
    "HttpParserInvalidMethodError",
    "HttpParserInvalidStatusError",
    "HttpParserInvalidURLError",
    "HttpParserUpgrade",
    "HttpRequestError",
    "HttpRequestParser",
    "HttpResponseParser",
    "MultipartParser",
    "RequestHead",
    "RequestReader",
    "StreamReader",
    "http_date",
    "parse_cookies",
    "parse_http_date",
    "parse_query",
    "parse_request_head",
    "parse_url",
    "response_head",
    "unquote",
]


def parse_request_head(data: bytes) -> RequestHead | None:
    """The head of the request that ``data`` begins with, or None while it is incomplete.

    Raises HttpRequestError, whose ``status`` is the answer's, for a head that a server must refuse.
    """
    for event in RequestReader(body=0).feed(data):
        if isinstance(event, RequestHead):
            return event
    return None
