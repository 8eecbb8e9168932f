"""Puts the figures of benchmarks/results/ into docs/performance.rst, between its markers.

python -m benchmarks.report
"""

import json
import re
import shlex
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.table import number

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "performance.rst"
LINE = 86
RESULTS = ROOT / "benchmarks" / "results"


def grid(title: str, rows: Mapping[str, Mapping[str, float]], columns: list[str]) -> str:
    """A reStructuredText table; `rows` holds figures by row and column."""
    cells = [[title, *columns]]
    cells += [[row, *(number(got.get(name)) for name in columns)] for row, got in rows.items()]
    widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
    rule = "  ".join("=" * width for width in widths)
    text = [
        "  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)) for line in cells
    ]
    return "\n".join([rule, text[0], rule, *(line.rstrip() for line in text[1:]), rule])


def folded(command: str) -> str:
    """A command in lines that a shell takes together."""
    lines = [""]
    for word in map(shlex.quote, shlex.split(command)):
        if len(lines[-1]) + len(word) > LINE:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return " \\\n        ".join(lines)


def origin(result: Mapping[str, Any]) -> str:
    """Where and with what a result was measured."""
    machine = result["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    text = (
        f"{result['date']}, {machine['cpu']} ({machine['cpus']} CPUs), Linux {machine['kernel']},"
        f" Python {machine['python']}; {versions}. Measured by:"
    )
    shell = "\n    ".join(map(folded, result["command"].splitlines()))
    return f"{textwrap.fill(text, 98)}\n\n::\n\n    {shell}"


def http_figures(result: Mapping[str, Any]) -> str:
    """The tables of a run of benchmarks.run."""
    names = list(dict.fromkeys(name for got in result["workloads"].values() for name in got))
    parts = [origin(result)]
    for key, title in (("cpu_us", "CPU us a request"), ("rps", "requests a second")):
        rows = {
            row: {name: figures[key] for name, figures in got.items()}
            for row, got in result["workloads"].items()
        }
        parts.append(grid(title, rows, names))
    calls = {
        row: {name: sum(counts.values()) for name, counts in got.items()}
        for row, got in result.get("syscalls", {}).items()
    }
    if calls:
        parts.append(grid("system calls a request", calls, names))
    if "idle_bytes" in result:
        parts.append(grid("idle connection", {"bytes of RSS": result["idle_bytes"]}, names))
    if "import_ms" in result:
        times = result["import_ms"]
        parts.append(grid("import", {"CPU ms": times}, list(times)))
    parts.append("::\n\n" + "\n".join(f"    {line}" for line in result["must_reach"]))
    return "\n\n".join(parts)


def loop_figures(result: Mapping[str, Any]) -> str:
    """The table of a run of benchmarks.micro."""
    names = list(dict.fromkeys(name for got in result["rows"].values() for name in got))
    return "\n\n".join([origin(result), grid("CPU us an operation", result["rows"], names)])


SECTIONS = {"http": http_figures, "loop": loop_figures}


def main() -> int:
    page = PAGE.read_text()
    for name, make in SECTIONS.items():
        result = json.loads((RESULTS / f"{name}.json").read_text())
        block = f".. begin {name}\n\n{make(result)}\n\n.. end {name}"
        pattern = re.compile(rf"\.\. begin {name}\n.*?\.\. end {name}", re.DOTALL)
        page, count = pattern.subn(lambda _, block=block: block, page)
        if count != 1:
            print(f"{PAGE} has no place for {name}")
            return 1
    PAGE.write_text(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
