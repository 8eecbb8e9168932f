"""Twins: every test here runs on asyncio's loop, which says what is right, and on ours."""

from __future__ import annotations

import ast
import asyncio
import gc
import inspect
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

import fastaio

FACTORIES: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.SelectorEventLoop,
    "fastaio": fastaio.new_event_loop,
}


@pytest.fixture
def reports() -> Iterator[list[dict[str, Any]]]:
    """What reached call_exception_handler(); a test takes out what it expects."""
    contexts: list[dict[str, Any]] = []
    yield contexts
    assert contexts == []


@pytest.fixture(params=FACTORIES)
def loop_factory(
    request: pytest.FixtureRequest, reports: list[dict[str, Any]]
) -> Iterator[Callable[[], asyncio.AbstractEventLoop]]:
    """Makes loops that report to ``reports`` and are closed afterwards."""
    loops: list[asyncio.AbstractEventLoop] = []

    def factory() -> asyncio.AbstractEventLoop:
        loop = FACTORIES[request.param]()
        loop.set_exception_handler(lambda _, context: reports.append(context))
        loops.append(loop)
        return loop

    yield factory
    for loop in loops:
        loop.close()
    loops.clear()
    gc.collect()


@pytest.fixture
def loop(
    loop_factory: Callable[[], asyncio.AbstractEventLoop],
) -> asyncio.AbstractEventLoop:
    return loop_factory()


@pytest.fixture
def run(
    loop_factory: Callable[[], asyncio.AbstractEventLoop],
) -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Runs a coroutine to its end on a new loop, as asyncio.run() does."""

    def run(main: Coroutine[Any, Any, Any], *, debug: bool | None = None) -> Any:
        with asyncio.Runner(loop_factory=loop_factory, debug=debug) as runner:
            return runner.run(main)

    return run


@pytest.fixture(scope="session")
def assigned() -> Callable[..., list[str]]:
    """A function that gives the names which methods of classes, and of asyncio's below them, set on
    self."""
    return names_set_on_self


def names_set_on_self(*classes: type) -> list[str]:
    names: set[str] = set()
    for cls in {base for each in classes for base in each.__mro__}:
        if cls.__module__.startswith("asyncio."):
            (tree,) = ast.parse(inspect.getsource(cls)).body
            names |= {
                part.attr
                for part in ast.walk(tree)
                if isinstance(part, ast.Attribute)
                and isinstance(part.ctx, ast.Store)
                and isinstance(part.value, ast.Name)
                and part.value.id == "self"
            }
    return sorted(names)
