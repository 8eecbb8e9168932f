"""Puts the figures of benchmarks/results/ into docs/performance.rst, between its markers.

python -m benchmarks.report
"""

import json
import re
import shlex
import statistics
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


def origin(run: Mapping[str, Any], what: str) -> str:
    """Where and with what something was measured."""
    machine = run["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    text = (
        f"{what}: {run['date']}, commit {run['commit']}, {machine['cpu']} ({machine['cpus']} CPUs),"
        f" Linux {machine['kernel']}, Python {machine['python']}; {versions}. Measured by:"
    )
    return f"{textwrap.fill(text, 98)}\n\n::\n\n    {folded(run['command'])}"


def verdicts(result: Mapping[str, Any]) -> str:
    return "::\n\n" + "\n".join(f"    {line}" for line in result["must_reach"])


def http_figures(result: Mapping[str, Any]) -> str:
    """The tables of a run of benchmarks.run."""
    names = list(dict.fromkeys(name for got in result["workloads"].values() for name in got))
    parts = [origin(result, "All figures")]
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
    parts.append(verdicts(result))
    return "\n\n".join(parts)


def troubles(result: Mapping[str, Any]) -> str:
    """Why cells are blank, row by row."""
    lines = [
        f"    {name}: {loop}: {textwrap.shorten(text, 60)}"
        for name, got in result["troubles"].items()
        for loop, text in got.items()
    ]
    return "Blank where it did not work::\n\n" + "\n".join(lines)


def loop_figures(result: Mapping[str, Any]) -> str:
    """The table of runs of benchmarks.micro: medians, and what the ranges of the rounds say."""
    rows = {
        row: {loop: statistics.median(rounds) for loop, rounds in got.items()}
        for row, got in result["rows"].items()
    }
    names = list(dict.fromkeys(name for got in rows.values() for name in got))
    parts = [origin(run, f"{len(run['rows'])} rows") for run in result["runs"]]
    parts += [grid("CPU us an operation", rows, names), verdicts(result), troubles(result)]
    return "\n\n".join(parts)


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
