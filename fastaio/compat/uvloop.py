"""fastaio under uvloop's name, for programs that say ``import uvloop`` and cannot be changed.

``install()`` puts a module named ``uvloop`` into ``sys.modules``; call it before the program
imports uvloop. ``python -m fastaio.compat.uvloop SCRIPT [ARGUMENTS]`` does so and runs the script.
"""

from __future__ import annotations

import runpy
import sys
from types import ModuleType

import fastaio


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
    module = ModuleType("uvloop", "fastaio's event loop under uvloop's name.")
    module.__dict__.update(
        __fastaio__=True,
        __version__=fastaio.__version__,
        __path__=[],
        Loop=fastaio.Loop,
        EventLoopPolicy=fastaio.EventLoopPolicy,
        install=fastaio.install,
        new_event_loop=fastaio.new_event_loop,
        run=fastaio.run,
    )
    loop = ModuleType("uvloop.loop", "fastaio's Loop under uvloop's name.")
    loop.__dict__.update(Loop=fastaio.Loop)
    module.__dict__.update(loop=loop)
    sys.modules["uvloop"] = module
    sys.modules["uvloop.loop"] = loop
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
