"""Counters and the access log."""

import asyncio
import sys

import pytest

from fastaio.http import HttpServer, Response, ServerProtocol

from .test_conn import HEAD, Transport


def serve(data, handler, **settings):
    """The counters after `data`."""

    async def main():
        protocol = ServerProtocol(HttpServer(handler, **settings))
        transport = Transport(protocol, asyncio.get_running_loop())
        protocol.connection_made(transport)
        protocol.data_received(data)
        transport.close()
        await asyncio.sleep(0)
        return protocol.server.counters

    return asyncio.run(main())


async def status(request):
    return Response(status=int(request.path[1:]))


def test_answers_are_counted_by_class():
    counters = serve(b"".join(HEAD % b"/%d" % code for code in (200, 204, 302, 404, 503)), status)
    assert counters == {
        "connections": 1,
        "requests": 5,
        "refused": 0,
        "unanswered": 0,
        "1xx": 0,
        "2xx": 2,
        "3xx": 1,
        "4xx": 1,
        "5xx": 1,
    }


def test_refusals_are_counted():
    counters = serve(HEAD % b"/200" + b"NONSENSE\r\n\r\n", status)
    assert (counters["requests"], counters["refused"], counters["4xx"]) == (1, 1, 1)


def test_a_failing_log_does_not_concern_the_client(monkeypatch):
    seen = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: seen.append(args.exc_type))

    def log(request, response, seconds):
        raise ZeroDivisionError

    counters = serve(HEAD % b"/200" * 2, status, access_log=log)
    assert counters["2xx"] == 2
    assert seen == [ZeroDivisionError] * 2


@pytest.mark.parametrize("enabled", [True, False])
def test_the_log_says_whether_it_is_enabled(enabled):
    class Log:
        def __init__(self):
            self.enabled = enabled
            self.calls = 0

        def __call__(self, request, response, seconds):
            self.calls += 1

    log = Log()
    serve(HEAD % b"/200", status, access_log=log)
    assert log.calls == enabled
