"""Twins: every test here runs on asyncio's own loop and on ours, and passes on both."""

import asyncio

import pytest

import fastaio

FACTORIES = {"asyncio": asyncio.SelectorEventLoop, "fastaio": fastaio.new_event_loop}


@pytest.fixture(params=FACTORIES)
def loop_factory(request):
    """Makes an event loop, of asyncio's kind and of ours in turn."""
    return FACTORIES[request.param]


@pytest.fixture
def run(loop_factory):
    """run(coroutine) as asyncio.run() does it, on the loop under test."""

    def run(main, *, debug=None):
        with asyncio.Runner(loop_factory=loop_factory, debug=debug) as runner:
            return runner.run(main)

    return run
