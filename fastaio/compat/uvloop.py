"""fastaio under uvloop's name, for programs that say ``import uvloop`` and cannot be changed.

``install()`` puts a module named ``uvloop`` into ``sys.modules``; call it before the program
imports uvloop. ``python -m fastaio.compat.uvloop SCRIPT [ARGUMENTS]`` does so and runs the script.
"""

from __future__ import annotations

import asyncio
import runpy
import sys
from collections.abc import Awaitable, Callable
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, TypeVar

import fastaio

T = TypeVar("T")


def run(
    main: Awaitable[T],
    *,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] = fastaio.new_event_loop,
    debug: bool | None = None,
    **run_kwargs: Any,
) -> T:
    """``uvloop.run()``, which takes a factory, further arguments of a Runner, and any awaitable."""

    async def awaited() -> T:
        if not isinstance(asyncio.get_running_loop(), fastaio.Loop):
            raise TypeError("uvloop.run() uses a non-uvloop event loop")
        return await main

    if asyncio._get_running_loop() is not None:
        return fastaio.run(main, debug=debug)  # type: ignore[arg-type]
    with asyncio.Runner(debug=debug, loop_factory=loop_factory, **run_kwargs) as runner:
        return runner.run(awaited())


def _module(name: str, doc: str, *, package: bool) -> ModuleType:
    """An empty module that importlib.util.find_spec() finds, as it would an imported one."""
    module = ModuleType(name, doc)
    module.__spec__ = ModuleSpec(name, None, is_package=package)
    sys.modules[name] = module
    return module


def install() -> ModuleType:
    """Make ``import uvloop`` give fastaio's loop; returns the module. Idempotent.

    Raises RuntimeError when the real uvloop was imported before: what has already taken its classes
    would go on using them.
    """
    present = sys.modules.get("uvloop")
    if present is not None:
        if getattr(present, "__fastaio__", False):
            return present
        raise RuntimeError("uvloop is imported already: call fastaio.compat.uvloop.install() first")
    module = _module("uvloop", "fastaio's event loop under uvloop's name.", package=True)
    module.__dict__.update(
        __fastaio__=True,
        __version__=fastaio.__version__,
        __all__=["EventLoopPolicy", "install", "new_event_loop", "run"],
        __path__=[],
        Loop=fastaio.Loop,
        EventLoopPolicy=fastaio.EventLoopPolicy,
        install=fastaio.install,
        new_event_loop=fastaio.new_event_loop,
        run=run,
    )
    loop = _module("uvloop.loop", "fastaio's Loop under uvloop's name.", package=False)
    loop.__dict__.update(Loop=fastaio.Loop)
    module.__dict__.update(loop=loop)
    return module


def main(argv: list[str]) -> int:
    """Run the script ``argv[0]`` with the rest as its arguments, fastaio standing for uvloop."""
    if not argv:
        print("usage: python -m fastaio.compat.uvloop SCRIPT [ARGUMENTS]", file=sys.stderr)
        return 2
    install()
    sys.argv[:] = argv
    runpy.run_path(argv[0], run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
