"""For all tests: what the garbage collector need not look at again."""

from __future__ import annotations

import gc

import pytest


def pytest_collection_finish(session: pytest.Session) -> None:
    """Many tests collect garbage, some at every allocation: thousands of times over. What has been
    imported by now stays to the end and is left out of it.
    """
    gc.collect()
    gc.freeze()
