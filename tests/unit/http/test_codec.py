"""The codecs as functions: URLs, percent-decoding, queries, cookies, dates, response heads
(http/url.c, cookie.c, token.c, writer.c, py_codec.c, base/num.c)."""

from __future__ import annotations

import calendar
import email.utils
import random
import time
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

import pytest
import yarl

import fastaio.http as http


def parts(url: bytes) -> tuple[Any, ...]:
    u = http.parse_url(url)
    return (u.schema, u.host, u.port, u.path, u.query, u.fragment, u.userinfo)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (b"/", (None, None, None, b"/", None, None, None)),
        (b"*", (None, None, None, b"*", None, None, None)),
        (b"//a?b", (None, None, None, b"//a", b"b", None, None)),
        (b"/a?", (None, None, None, b"/a", None, None, None)),
        (b"/a?b?c#d?e#f", (None, None, None, b"/a", b"b?c", b"d?e#f", None)),
        (b"/a##b", (None, None, None, b"/a", None, b"b", None)),
        (b"/a#", (None, None, None, b"/a", None, None, None)),
        (b"http://h", (b"http", b"h", None, None, None, None, None)),
        (b"http://h?q", (b"http", b"h", None, None, b"q", None, None)),
        (b"x://u:p@h:80/p?q#f", (b"x", b"h", 80, b"/p", b"q", b"f", b"u:p")),
        (b"x://@h/", (b"x", b"h", None, b"/", None, None, None)),
        (b"http://[1:2::3:4]:67/", (b"http", b"1:2::3:4", 67, b"/", None, None, None)),
        (b"http://[fe80::1%eth0]/", (b"http", b"fe80::1%eth0", None, b"/", None, None, None)),
        (b"http://h:00080/", (b"http", b"h", 80, b"/", None, None, None)),
    ],
)
def test_parse_url(url: bytes, expected: tuple[Any, ...]) -> None:
    assert parts(url) == expected
    assert parts(bytearray(url)) == expected
    assert parts(memoryview(url)) == expected


@pytest.mark.parametrize(
    "url",
    [
        b"", b" ", b"a", b"a:", b"a:/", b"a://", b"a:///b", b"://h", b":///1", b"h1://h",
        b"http://h:",
        b"http://h:65536", b"http://h:x", b"http://[::1", b"http://[]/", b"http://[::1%]/",
        b"http://a b/",
        b"http://h#f", b"http://a@b@c/", b"http://u@", b"/a b", b"/\x7f", b"/\xff", b"/\t",
        b"/\x00",
        b"http://a\x00b", b"http://a_b/", b"?a", b"#a", b"http://u\x00@h/",
    ],
)  # fmt: skip
def test_parse_url_refuses(url: bytes) -> None:
    with pytest.raises(http.HttpParserInvalidURLError):
        http.parse_url(url)


def test_parse_url_limits_and_types() -> None:
    assert http.parse_url(b"/" + b"a" * 65534).path == b"/" + b"a" * 65534
    with pytest.raises(http.HttpParserInvalidURLError, match="url is too long"):
        http.parse_url(b"/" + b"a" * 65535)
    for url in (None, "/"):
        with pytest.raises(TypeError):
            http.parse_url(url)  # type: ignore[arg-type]
    with pytest.raises(AttributeError, match="not writable"):
        http.parse_url(b"/").port = 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        http.URL()
    assert repr(http.parse_url(b"/a")).startswith("<URL schema: None, host: None, port: None, path")


# -- percent-decoding ------------------------------------------------------------------------------

PATHS = [
    "/", "/a%20b", "/%E4%BD%A0", "/%e4%bd%a0", "/%ff%41", "/%E4%BD", "/%zz%1", "/%", "/a+b", "/%2B",
    "/%F0%9F%98%80", "/%ED%A0%80", "/%C0%AF", "/%F4%90%80%80", "/%E4%BD%41", "/%00",
]  # fmt: skip

QUERIES = [
    "", "a", "a=", "=", "=a", "a=1&b=2", "a=1&&b=2", "&", "&a=1&", "a=1&a=2", "a+b=c+d", "a=%2B",
    "a=%26&b=%3D", "a=b=c", "a=%ff", "a=%E4%BD", "a=%E4%BD%A0", "a=%zz%1%", "a=b;c=d", "a=%00",
    "a=%C0%AF%ED%A0%80%F4%90%80%80", "a" * 300 + "=" + "%20" * 300,
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_unquote_path_as_yarl(path: str) -> None:
    assert http.unquote(path.encode()) == yarl.URL.build(path=path, encoded=True).path


@pytest.mark.parametrize("query", QUERIES)
def test_parse_query_as_yarl_and_urllib(query: str) -> None:
    found = http.parse_query(query.encode())
    assert found == parse_qsl(query, keep_blank_values=True)
    url = yarl.URL.build(path="/", query_string=query, encoded=True)
    assert found == list(url.query.items())


def test_unquote_form_values_and_raw_bytes() -> None:
    assert http.unquote(b"a+%ff", plus=True) == "a \ufffd"
    assert http.unquote(b"a+b") == "a+b"
    assert http.unquote(b"\xff%41").encode("utf-8", "surrogateescape") == b"\xffA"
    with pytest.raises(TypeError):
        http.unquote("a")  # type: ignore[arg-type]


def test_parse_query_at_random_as_urllib() -> None:
    rng = random.Random(5)
    for _ in range(2000):
        text = "".join(rng.choice("ab&=+;%%%0289efEF?/") for _ in range(rng.randrange(30)))
        assert http.parse_query(text.encode()) == parse_qsl(text, keep_blank_values=True), text


# -- cookies ---------------------------------------------------------------------------------------

COOKIES = [
    "", "a=b", "a=b; c=d", "a=b;c=d", " a = b ; c", "a", "a=", "a=b=c", "=b", "; ;", "a=1; a=2",
    'a="b; c"; d=e', 'a="b\\"c"; d=e', 'a="b\\073\\012c"', 'a="\\303"', 'a="b', 'a="b; c=d',
    'a=b"c; d=e', "a b=c; d=e", "{json}=[1,2]; x=y", "a,b=c; d=e", "path=/; secure",
    "$Version=1; a=b",
    "a=b c=d", "a\tb=c", "k=v1, v2; e=f", "a=\\;b=c", 'a=""', 'a="', "k@x:/?=!#$%&'()*+-./<>^_`|~",
]  # fmt: skip


@pytest.mark.parametrize("field", COOKIES)
def test_parse_cookies_as_aiohttp(field: str) -> None:
    helpers = pytest.importorskip("aiohttp._cookie_helpers", reason="aiohttp before 3.13")
    expected = [(name, morsel.value) for name, morsel in helpers.parse_cookie_header(field)]
    assert http.parse_cookies(field.encode()) == expected


def test_cookies_of_eight_bits_are_kept() -> None:
    ((name, value),) = http.parse_cookies('a="\u00e9"'.encode())
    assert (name, value) == ("a", "\u00e9")


def test_hostile_cookies_take_linear_time() -> None:
    for field in (b'a="' + b"\\" * 100_000, b"a=b " * 30_000, b'"' * 100_000, b"a;" * 50_000):
        start = time.process_time()
        http.parse_cookies(field)
        assert time.process_time() - start < 2


# -- dates -----------------------------------------------------------------------------------------


def test_http_date() -> None:
    rng = random.Random(3)
    moments = [0, -1, 951782400, 951868799, 4102444800, 253402300799]
    for seconds in [*moments, *(rng.randrange(253402300800) for _ in range(2000))]:
        text = http.http_date(seconds)
        assert text == email.utils.formatdate(seconds, usegmt=True)
        assert http.parse_http_date(text) == seconds
    assert http.http_date(-62167219200) == "Sat, 01 Jan 0000 00:00:00 GMT"
    for outside in (-62167219201, 253402300800):
        with pytest.raises(ValueError, match="years 0 to 9999"):
            http.http_date(outside)


def test_dates_of_the_other_forms() -> None:
    assert http.parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT") == 784111777
    assert http.parse_http_date("Sun Nov  6 08:49:37 1994") == 784111777
    assert http.parse_http_date("Sun Nov 16 08:49:37 1994") == 784975777
    year = time.gmtime().tm_year
    for two_digits in range(100):
        seconds = http.parse_http_date(f"Sunday, 01-Jan-{two_digits:02} 00:00:00 GMT")
        assert seconds is not None
        assert year - 50 < time.gmtime(seconds).tm_year <= year + 50


@pytest.mark.parametrize(
    "text",
    [
        "", ",", "Sun", "Sun,", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 GMT ", "Sun, 32 Jan 1994 08:49:37 GMT",
        "Sun, 00 Jan 1994 08:49:37 GMT",
        "Tue, 29 Feb 2023 00:00:00 GMT", "Sun, 06 Foo 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 00:60:00 GMT", "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT", "Sun Nov 6 08:49:37 1994", "784111777", "\u00e9" * 29,
        "Sun, 06 Nov 1994 08:49:3\u00e9GMT", "Sun, 0\u0000 Nov 1994 08:49:37 GMT",
    ],
)  # fmt: skip
def test_what_is_no_date(text: str) -> None:
    assert http.parse_http_date(text) is None


def test_leap_days() -> None:
    assert http.parse_http_date("Tue, 29 Feb 2000 00:00:00 GMT") == calendar.timegm(
        (2000, 2, 29, 0, 0, 0)
    )
    assert http.parse_http_date("Thu, 29 Feb 1900 00:00:00 GMT") is None


# -- response heads --------------------------------------------------------------------------------


def test_response_head() -> None:
    assert http.response_head(200) == b"HTTP/1.1 200 OK\r\n\r\n"
    fields = [(b"Content-Type", b"text/plain"), (b"X", b"")]
    expected = b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nX: \r\n\r\n"
    assert http.response_head(404, fields) == expected
    assert http.response_head(404, iter(fields)) == expected
    assert http.response_head(299) == b"HTTP/1.1 299 \r\n\r\n"
    assert http.response_head(200, reason=b"Fine \xe9") == b"HTTP/1.1 200 Fine \xe9\r\n\r\n"
    assert http.response_head(200, reason=b"") == b"HTTP/1.1 200 \r\n\r\n"


@pytest.mark.parametrize("status", list(HTTPStatus))
def test_every_registered_status_has_a_reason(status: HTTPStatus) -> None:
    line = http.response_head(status)
    assert line.startswith(b"HTTP/1.1 %d " % status)
    assert len(line) > len(b"HTTP/1.1 200 \r\n\r\n")


@pytest.mark.parametrize("status", [99, 1000, -1, 0])
def test_status_out_of_range(status: int) -> None:
    with pytest.raises(ValueError, match="status must be from 100 to 999"):
        http.response_head(status)


@pytest.mark.parametrize("evil", [b"\r", b"\n", b"\0", b"\r\nX: y"])
@pytest.mark.parametrize("place", [0, 1, 7, 8, 15, 16, 30])
def test_injection_is_refused(evil: bytes, place: int) -> None:
    """RFC 9110 5.5: nothing the application gives may end a line."""
    text = b"v" * place + evil + b"w" * 9
    for call in (
        lambda: http.response_head(200, [(b"Name", text)]),
        lambda: http.response_head(200, [(text, b"value")]),
        lambda: http.response_head(200, reason=text),
    ):
        with pytest.raises(ValueError):
            call()


@pytest.mark.parametrize("name", [b"", b"a b", b"a:", b"\xe9", b"a(b)", b"a\t"])
def test_names_must_be_tokens(name: bytes) -> None:
    with pytest.raises(ValueError):
        http.response_head(200, [(name, b"v")])


def test_values_may_be_anything_else() -> None:
    value = bytes(c for c in range(256) if c not in b"\r\n\0") * 2
    assert http.response_head(200, [(b"X", value)]).endswith(b"X: " + value + b"\r\n\r\n")


def test_response_head_types() -> None:
    for args in ((200, [("X", b"y")]), (200, [(b"X", "y")]), (200, 1), ("200",), (200, [1])):
        with pytest.raises(TypeError):
            http.response_head(*args)  # type: ignore[arg-type]
    with pytest.raises(ValueError):
        http.response_head(200, [(b"X",)])  # type: ignore[list-item]
    with pytest.raises(TypeError):
        http.response_head(200, reason="x")  # type: ignore[arg-type]
