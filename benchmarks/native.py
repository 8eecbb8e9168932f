"""Builds the C programs of the benchmarks, with the libuv and llhttp the project itself builds."""

import functools
import shutil
import subprocess
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from tools import thirdparty
from tools.libraries import Library, bundled_names, libraries

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "benchmarks"
FLAGS = ("-O3", "-flto=auto", "-std=gnu11", "-pthread")
WARNINGS = ("-Wall", "-Wextra", "-Werror")
CODECS = ("http/parser.c", "http/message.c", "http/target.c", "http/token.c", "base/num.c")


class UnavailableError(Exception):
    """A program cannot be built here; the text says why."""


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise UnavailableError(f"{' '.join(command)}: {done.stderr[-600:]}")


def _objects(library: Library) -> list[Path]:
    """The library's own files compiled, those that are older than their source."""
    objects = []
    for source in library.sources:
        out = BUILD / source.replace("/", "-").replace(".c", ".o")
        if not out.exists() or out.stat().st_mtime < (ROOT / source).stat().st_mtime:
            _run(["gcc", *FLAGS, *library.cflags, "-c", source, "-o", str(out)])
        objects.append(out)
    return objects


@functools.cache
def _linked() -> tuple[list[Path], list[str], list[str]]:
    """Objects, compiler flags and linker flags of libuv and llhttp together."""
    try:
        thirdparty.ensure(bundled_names())
        parts = libraries()
    except SystemExit as error:
        raise UnavailableError(str(error)) from None
    objects = [path for part in parts for path in _objects(part)]
    return (
        objects,
        [flag for part in parts for flag in part.public],
        [flag for part in parts for flag in part.ldflags],
    )


@functools.cache
def program(source: str, with_libraries: bool = False, codecs: bool = False) -> Path:
    """Builds `source` (below benchmarks/), returns the program; UnavailableError if it cannot.

    With `codecs` those files of csrc/http come in that need nothing of Python.
    """
    if shutil.which("gcc") is None:
        raise UnavailableError("no gcc")
    BUILD.mkdir(parents=True, exist_ok=True)
    objects, cflags, ldflags = _linked() if with_libraries else ([], [], [])
    path = ROOT / "benchmarks" / source
    files = [path, *objects]
    if codecs:
        files += [ROOT / "csrc" / name for name in CODECS]
        cflags = [*cflags, "-DNDEBUG", "-D_GNU_SOURCE", "-Icsrc"]
        cflags += ["-isystem", sysconfig.get_path("include")]
    out = BUILD / path.stem
    if not out.exists() or out.stat().st_mtime < max(f.stat().st_mtime for f in files):
        command = ["gcc", *FLAGS, *WARNINGS, *cflags, *map(str, files)]
        _run([*command, *ldflags, "-o", str(out)])
    return out
