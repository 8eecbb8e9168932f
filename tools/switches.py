"""The environment variables that say how fastaio is built; docs/install.rst explains each."""

from __future__ import annotations

import os
import shlex
import sys

ON = ("1", "yes", "true", "on")
OFF = ("", "0", "no", "false", "off")


def flag(name: str, default: bool = False) -> bool:
    """Whether the environment variable is switched on."""
    value = os.environ.get(name, "").lower()
    if value in ON:
        return True
    if value not in OFF:
        sys.exit(f"fastaio: {name} is 1 or 0, not {value!r}")
    return default and value == ""


def jobs() -> int:
    """How many compilers run at once: FASTAIO_JOBS, or one a processor."""
    value = os.environ.get("FASTAIO_JOBS", "")
    if not value:
        return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    if not value.isdecimal() or int(value) < 1:
        sys.exit(f"fastaio: FASTAIO_JOBS is a number of compilers >= 1, not {value!r}")
    return int(value)


def code_flags(optimise_across_files: bool) -> list[str]:
    """How code is generated, for every file and for linking.

    Link-time optimisation takes seconds for each link, so only what is to be shipped has it.
    """
    flags = ["-fvisibility=hidden", "-fno-strict-aliasing", "-fno-plt", "-pthread"]
    sanitize = os.environ.get("FASTAIO_SANITIZE", "")
    coverage = flag("FASTAIO_COVERAGE")
    if flag("FASTAIO_DEBUG") or sanitize or coverage:
        # Without -O1 the sanitizers' checks make every test several times as slow.
        flags += ["-O1" if sanitize else "-O0", "-g3", "-UNDEBUG", "-fno-omit-frame-pointer"]
    else:
        flags += ["-O3", "-g1", "-DNDEBUG", "-fno-semantic-interposition"]
        if flag("FASTAIO_LTO", default=optimise_across_files):
            flags += ["-flto=auto"]
    if sanitize:
        flags += [f"-fsanitize={sanitize}", "-fno-sanitize-recover=undefined"]
    if coverage:
        flags += ["--coverage"]
    return flags + shlex.split(os.environ.get("FASTAIO_CFLAGS", ""))
