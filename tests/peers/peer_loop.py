"""A pytest plug-in: whatever a suite does to get an event loop gives the loop under test.

The default policy's factory is what ``asyncio.run()``, ``Runner``, ``new_event_loop()``,
``IsolatedAsyncioTestCase``, pytest-asyncio, anyio and aiohttp's fixtures end at, as long as nobody
names another; so that is where it goes in, before the suite is imported. From the environment:

PEER_LOOP
    ``asyncio`` or ``fastaio``.
PEER_LOG
    Where outcomes go, one JSON object a line. Tests that it names already are left out, so that a
    run that was ended by a crash or a hang can be gone on with.
PEER_TIMEOUT
    Seconds; a test that takes longer ends the process.
PEER_BEFORE
    Python statements to run before the suite is imported.
"""

from __future__ import annotations

import asyncio
import faulthandler
import json
import os
import signal
from asyncio import base_events, selector_events, unix_events
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

LOG = Path(os.environ["PEER_LOG"])
TIMEOUT = float(os.environ["PEER_TIMEOUT"])
STDERR = os.dup(2)  # before pytest captures it

#: Loops that were made: those under test, and asyncio's own beside them.
made = {"ours": 0, "asyncio": 0}
outcome: dict[str, str] = {}


def write(**row: Any) -> None:
    with LOG.open("a") as log:
        log.write(json.dumps(row) + "\n")


def count(cls: type, name: str) -> None:
    """Count the loops whose ``__init__`` is this class's."""
    before: Any = cls.__init__  # type: ignore[misc]

    def init(self: Any, *args: Any, **keywords: Any) -> None:
        made[name] += 1
        before(self, *args, **keywords)

    cls.__init__ = init  # type: ignore[misc]


def put_in_place() -> None:
    count(selector_events.BaseSelectorEventLoop, "asyncio")
    if os.environ["PEER_LOOP"] == "asyncio":
        return
    import fastaio

    count(fastaio.Loop, "ours")
    # Python 3.14 renames the class.
    names = ("_UnixDefaultEventLoopPolicy", "_DefaultEventLoopPolicy")
    policy: Any = next(getattr(unix_events, name) for name in names if hasattr(unix_events, name))
    policy._loop_factory = fastaio.Loop
    loop = asyncio.new_event_loop()
    assert type(loop) is fastaio.Loop
    assert isinstance(loop, base_events.BaseEventLoop)
    loop.close()
    made["ours"] = 0


put_in_place()
# A shell has its background jobs ignore it, and tests of Ctrl-C would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)
exec(os.environ.get("PEER_BEFORE", ""))


def pytest_addoption(parser: pytest.Parser) -> None:
    # Of pytest's own plug-in, which is off: some suites set them.
    for name in ("faulthandler_timeout", "faulthandler_exit_on_timeout"):
        parser.addini(name, "of no effect here")


def pytest_configure() -> None:
    faulthandler.enable(STDERR)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    done = set()
    if LOG.exists():
        done = {json.loads(line).get("id") for line in LOG.read_text().splitlines()}
    items[:] = [item for item in items if item.nodeid not in done]


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.failed:
        write(id=f"{report.nodeid}::<import>", outcome="failed", why=str(report.longrepr)[-2000:])


def pytest_runtest_logstart(nodeid: str) -> None:
    outcome.clear()
    outcome.update(id=nodeid, outcome="passed", why="")
    write(id=nodeid, outcome="started", why="")
    faulthandler.dump_traceback_later(TIMEOUT, exit=True, file=STDERR)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed:
        outcome["outcome"] = "failed"
        outcome["why"] += f"{report.when}: {report.longrepr}"[-2000:]
    elif report.skipped and outcome["outcome"] == "passed":
        outcome["outcome"] = "skipped"


def pytest_runtest_logfinish() -> None:
    faulthandler.cancel_dump_traceback_later()
    write(**outcome)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    write(loops=made)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    rows: Iterable[str] = (f"{number} {name}" for name, number in made.items())
    terminalreporter.write_line(f"loops made: {', '.join(rows)}")
