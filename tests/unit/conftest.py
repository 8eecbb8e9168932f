"""For the unit tests: a loop of ours."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

import fastaio


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = fastaio.new_event_loop()
    yield loop
    loop.close()
