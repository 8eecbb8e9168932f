"""Where figures come from: the command, the day, the commit, the machine and the versions."""

import contextlib
import os
import platform
import shlex
import subprocess
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
NAMED_VERSIONS = (
    *("fastaio", "aiohttp", "uvloop", "uvicorn", "httptools", "granian"),
    *("rloop", "aiofastnet"),
)


def git(*arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def commit() -> str:
    """The checkout that is measured; ``-dirty`` where more than figures is not committed."""
    try:
        name = git("rev-parse", "--short", "HEAD").strip()
        changed = git("status", "--porcelain", "--", ".", ":!benchmarks/results", ":!docs")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{name}-dirty" if changed else name


def machine() -> dict[str, Any]:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        "unknown",
    )
    return {
        "python": platform.python_version(),
        "kernel": platform.release().partition("-")[0],
        "cpu": model,
        "cpus": os.cpu_count(),
    }


def versions() -> dict[str, str]:
    """The versions of the contenders' packages."""
    found = {}
    for name in NAMED_VERSIONS:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def origin(module: str, argv: Sequence[str]) -> dict[str, Any]:
    return {
        "command": shlex.join(["python", "-m", module, *argv]),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "commit": commit(),
        "machine": machine(),
        "versions": versions(),
    }
