"""The access log: formats, and that a client cannot forge lines."""

from __future__ import annotations

import importlib
import logging
import re
from typing import Any

import pytest


@pytest.fixture
def logger() -> logging.Logger:
    logger = logging.getLogger("test.access")
    logger.setLevel(logging.INFO)
    return logger


@pytest.fixture
def logged(web: Any, serve: Any, logger: logging.Logger, caplog: Any) -> Any:
    """logged(format, raw request) -> the records of the access log."""

    def run(log_format: str, raw: bytes, path: str = "/{x:.*}", handler: Any = None) -> Any:
        async def answer(request: Any) -> Any:
            return web.Response(text="12345", headers={"X-Out": "out"})

        app = web.Application()
        app.router.add_route("*", path, handler or answer)
        server = serve(app, access_log=logger, access_log_format=log_format)
        with caplog.at_level(logging.INFO, "test.access"):
            server.raw(raw)
            server.close()
        return [record for record in caplog.records if record.name == "test.access"]

    return run


RAW = (
    b"GET /path?q=%20 HTTP/1.1\r\nHost: a\r\nReferer: ref\r\nUser-Agent: agent\r\n"
    b"Connection: close\r\n\r\n"
)


def test_the_default_format(web: Any, logged: Any) -> None:
    from aiohttp.web_log import AccessLogger

    (record,) = logged(AccessLogger.LOG_FORMAT, RAW)
    message = record.getMessage()
    assert re.fullmatch(
        r"127\.0\.0\.1 \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "
        r'"GET /path\?q=%20 HTTP/1\.1" 200 \d+ "ref" "agent"',
        message,
    )


@pytest.mark.parametrize(
    ("log_format", "pattern"),
    [
        ("%s", "200"),
        ("%r", r"GET /path\?q=%20 HTTP/1\.1"),
        ("%a", r"127\.0\.0\.1"),
        ("%P", r"<\d+>"),
        ("%T", r"\d+"),
        ("%Tf", r"\d+\.\d{6}"),
        ("%D", r"\d+"),
        ("%{User-Agent}i|%{none}i", r"agent\|-"),
        ("%{X-Out}o|%{none}o", r"out\|-"),
        ("plain", "plain"),
    ],
)
def test_formats(logged: Any, log_format: str, pattern: str) -> None:
    (record,) = logged(log_format, RAW)
    assert re.fullmatch(pattern, record.getMessage())


def test_percent_signs(fastweb: Any, logger: logging.Logger, caplog: Any) -> None:
    """aiohttp.web logs an error for some of them."""
    for log_format, line in (("%% %s%%", "% 200%"), ("100% %q %", "100% %q %"), ("%%s", "%s")):
        log = fastweb.AccessLogger(logger, log_format)
        with caplog.at_level(logging.INFO, "test.access"):
            log.log(None, fastweb.Response(), 0.0)
        assert caplog.records[-1].getMessage() == line


def test_values_in_extra(logged: Any) -> None:
    (record,) = logged("%a %s %{Referer}i %{User-Agent}i %{X-Out}o", RAW)
    assert record.remote_address == "127.0.0.1"
    assert record.response_status == 200
    assert record.request_header == {"Referer": "ref", "User-Agent": "agent"}
    assert record.response_header == {"X-Out": "out"}


def test_errors_are_logged_too(web: Any, logged: Any) -> None:
    (record,) = logged("%s %r", b"GET /none HTTP/1.1\r\nHost: a\r\n\r\n", "/x")
    assert record.getMessage() == "404 GET /none HTTP/1.1"


def test_a_handler_that_fails(web: Any, logged: Any) -> None:
    async def fails(request: Any) -> Any:
        raise ZeroDivisionError

    (record,) = logged("%s", RAW, handler=fails)
    assert record.getMessage() == "500"


def test_no_forged_lines(fastweb: Any, logger: logging.Logger, caplog: Any) -> None:
    from fastaio.web.version import HttpVersion

    class Asked:
        method = "GET"
        path_qs = "/a\u2028b\x1b[2J"
        version = HttpVersion(1, 1)
        remote = "1.2.3.4"
        headers = {"User-Agent": 'x\r\n1.2.3.4 "forged"\x85'}

    log = fastweb.AccessLogger(logger, "%r %{User-Agent}i")
    with caplog.at_level(logging.INFO, "test.access"):
        log.log(Asked(), fastweb.Response(), 0.0)
    message = caplog.records[0].getMessage()
    assert message == r'GET /a\u2028b\x1b[2J HTTP/1.1 x\r\n1.2.3.4 "forged"\x85'


def test_own_class(web: Any, serve: Any, logger: logging.Logger) -> None:
    lines: list[Any] = []
    base = {"fastaio.web": "fastaio.web", "aiohttp.web": "aiohttp.abc"}[web.__name__]

    class Own(importlib.import_module(base).AbstractAccessLogger):  # type: ignore[misc]
        def log(self, request: Any, response: Any, time: float) -> None:
            lines.append((request.path, response.status, time >= 0, self.log_format))

    async def handler(request: Any) -> Any:
        return web.Response(status=201)

    app = web.Application()
    app.router.add_get("/x", handler)
    server = serve(app, access_log=logger, access_log_class=Own, access_log_format="own")
    assert server.get("/x").status == 201
    server.close()
    assert lines == [("/x", 201, True, "own")]


def test_the_class_is_checked(web: Any, serve: Any, logger: logging.Logger) -> None:
    with pytest.raises(TypeError, match="access_log_class must be subclass"):
        serve(web.Application(), access_log=logger, access_log_class=dict)


def test_a_logger_that_takes_nothing(web: Any, serve: Any) -> None:
    logger = logging.getLogger("test.silent")
    logger.setLevel(logging.CRITICAL)

    async def handler(request: Any) -> Any:
        return web.Response()

    app = web.Application()
    app.router.add_get("/", handler)
    assert serve(app, access_log=logger).get("/").status == 200
