"""Builds the C programs of the benchmarks, with the libuv and llhttp the project itself builds."""

import functools
import importlib.util
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
THIRD_PARTY = ROOT / "third_party"
BUILD = ROOT / "build" / "benchmarks"
FLAGS = ("-O2", "-std=gnu11", "-D_GNU_SOURCE", "-pthread")

# libuv's own list for Linux (its CMakeLists.txt).
LIBUV_COMMON = (
    "fs-poll idna inet random strscpy strtok thread-common threadpool timer uv-common"
    " uv-data-getter-setters version"
).split()
LIBUV_UNIX = (
    "async core dl fs getaddrinfo getnameinfo linux loop-watcher loop pipe poll process"
    " procfs-exepath proctitle random-devurandom random-getrandom random-sysctl-linux signal"
    " stream tcp thread tty udp"
).split()


class Unavailable(Exception):
    """A program cannot be built here; the text says why."""


def _fetch_sources() -> None:
    """Runs the project's own fetch of libuv and llhttp where they are not there yet."""
    if all((THIRD_PARTY / name / "src").is_dir() for name in ("libuv", "llhttp")):
        return
    path = ROOT / "tools" / "thirdparty.py"
    spec = importlib.util.spec_from_file_location("thirdparty", path)
    if spec is None or spec.loader is None or not path.exists():
        raise Unavailable("the sources of libuv and llhttp are not in third_party/")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.ensure(["libuv", "llhttp"])


def _compile(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise Unavailable(f"{' '.join(command[:4])} ...: {done.stderr[-600:]}")


@functools.cache
def _library(name: str) -> Path:
    """Static library of libuv or llhttp, compiled when its sources are newer."""
    _fetch_sources()
    source = THIRD_PARTY / name
    if name == "libuv":
        files = [source / "src" / f"{stem}.c" for stem in LIBUV_COMMON]
        files += [source / "src" / "unix" / f"{stem}.c" for stem in LIBUV_UNIX]
    else:
        files = sorted((source / "src").glob("*.c"))
    archive = BUILD / f"{name}.a"
    if archive.exists() and archive.stat().st_mtime > max(f.stat().st_mtime for f in files):
        return archive
    folder = BUILD / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    includes = [f"-I{source / 'include'}", f"-I{source / 'src'}"]
    for file in files:
        _compile(["gcc", *FLAGS, *includes, "-c", str(file), "-o", str(folder / f"{file.stem}.o")])
    archive.unlink(missing_ok=True)
    _compile(["ar", "rcs", str(archive), *map(str, sorted(folder.glob("*.o")))])
    return archive


@functools.cache
def program(source: str, libraries: tuple[str, ...] = ()) -> Path:
    """Builds `source` (below benchmarks/) and returns the program; Unavailable where it cannot."""
    if shutil.which("gcc") is None:
        raise Unavailable("no gcc")
    path = ROOT / "benchmarks" / source
    archives = [_library(name) for name in libraries]
    out = BUILD / path.stem
    newest = max(file.stat().st_mtime for file in (path, *archives))
    if not out.exists() or out.stat().st_mtime < newest:
        BUILD.mkdir(parents=True, exist_ok=True)
        includes = [f"-I{THIRD_PARTY / name / 'include'}" for name in libraries]
        warnings = ("-Wall", "-Wextra", "-Werror")
        links = ("-ldl", "-lrt")
        _compile(
            ["gcc", *FLAGS, *warnings, *includes, str(path), *map(str, archives), *links]
            + ["-o", str(out)]
        )
    return out
