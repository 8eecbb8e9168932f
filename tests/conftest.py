"""For all tests: what the garbage collector need not look at again, and an end for what hangs."""

from __future__ import annotations

import faulthandler
import gc

import pytest
from _pytest.faulthandler import fault_handler_stderr_fd_key


def pytest_collection_finish(session: pytest.Session) -> None:
    """Many tests collect garbage, some at every allocation: thousands of times over. What has been
    imported by now stays to the end and is left out of it.
    """
    gc.collect()
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_exception_interact(node: pytest.Item | pytest.Collector) -> None:
    """pytest takes its guard against hangs off where a test fails; what that left may hang, too."""
    stderr = node.config.stash.get(fault_handler_stderr_fd_key, None)
    if isinstance(node, pytest.Item) and stderr is not None:
        timeout = float(node.config.getini("faulthandler_timeout"))
        faulthandler.dump_traceback_later(timeout, exit=True, file=stderr)
