"""Rows of the event loop, loop beside loop, in interleaved rounds.

    python -m benchmarks.micro                                  the rows marked as default
    python -m benchmarks.micro --rows 'timer*' 'tcp *1 KiB*'    the rows these patterns name
    python -m benchmarks.micro --rows '*' --json FILE           all of them

Figures are CPU microseconds an operation (of the server, for rows with a peer), or bytes where the
row says so; medians of the rounds. A row that a loop cannot run is blank.
"""

import argparse
import contextlib
import fnmatch
import json
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from benchmarks import measure, native
from benchmarks.micro import inside, outside
from benchmarks.micro.loops import BARE, LOOPS, TRANSPORTS_ONLY, is_here
from benchmarks.micro.outside import NoSuchRowError
from benchmarks.origin import origin
from benchmarks.table import table

ROWS = (*inside.NAMES, *outside.ROWS)
OURS = "fastaio"
RIVALS = ("asyncio", "uvloop", "rloop", "aiofastnet")
NOISE = 1.05
"""Two rounds of the same program differ by about this much: within it, rows are equal."""
INSIDE_SECONDS = 60
"""For a row that needs no peer and takes some seconds on the slowest loop."""
Figures = TypeVar("Figures")
SKIPPED = ("unix * x1", "unix * x100", "* buffered 10 KiB *", "* buffered 1 MiB *")
"""Rows that say little more than their neighbours: run when asked for."""


def default_rows() -> list[str]:
    return [name for name in ROWS if not any(fnmatch.fnmatch(name, p) for p in SKIPPED)]


def inside_figure(loop: str, name: str) -> float:
    """One figure of a row that needs no peer, from a process of its own."""
    process = measure.spawn(
        [sys.executable, "-m", "benchmarks.micro.inside", loop, name],
        measure.SERVER_CPU,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        out, error = process.communicate(timeout=INSIDE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise measure.ContenderError(f"not done after {INSIDE_SECONDS} seconds") from None
    if process.returncode:
        lines = error.strip().splitlines()
        raise measure.ContenderError(lines[-1] if lines else f"exit {process.returncode}")
    return float(out)


def figure(loop: str, name: str, milliseconds: int, folder: Path) -> float:
    if name in outside.ROWS:
        return outside.measured(loop, name, milliseconds, folder)
    if loop == BARE or loop in TRANSPORTS_ONLY:
        raise NoSuchRowError
    return inside_figure(loop, name)


def run_row(
    name: str, loops: Sequence[str], args: argparse.Namespace, folder: Path
) -> tuple[dict[str, list[float]], dict[str, str]]:
    """The figures of a row by loop, one of each round, and why a loop has none."""
    taken: dict[str, list[float]] = {}
    troubles: dict[str, str] = {}
    for number in range(args.rounds):
        for loop in loops if number % 2 == 0 else reversed(loops):
            if loop in troubles:
                continue
            try:
                taken.setdefault(loop, []).append(figure(loop, name, args.ms, folder))
            except NoSuchRowError:
                continue
            except (measure.ContenderError, native.UnavailableError, OSError) as error:
                troubles[loop] = str(error)
                taken.pop(loop, None)
    return {loop: got for loop, got in taken.items() if got}, troubles


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.micro",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rows", nargs="+", metavar="PATTERN", help="names, or patterns with *")
    parser.add_argument("--loops", nargs="+", choices=(*LOOPS, BARE), default=(*LOOPS, BARE))
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each (default 3)")
    parser.add_argument("--ms", type=int, default=500, help="of load a round (default 500)")
    parser.add_argument("--list", action="store_true", help="print the rows' names")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    parser.add_argument(
        "--keep", action="store_true", help="keep the rows of that FILE which are not run now"
    )
    return parser.parse_args(argv)


def compared(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """A line's beginning and its figures where ours are behind, otherwise nothing."""
    ratio = statistics.median(ours) / statistics.median(theirs)
    if ratio <= NOISE:
        return ""
    word = "NOT met" if min(ours) > max(theirs) else "level"
    ranges = " against ".join(f"{min(got):.3g} to {max(got):.3g}" for got in (ours, theirs))
    return f"{word:<12}  {{}}: {ratio:.2f} x {{}}'s; {ranges}"


def verdict(figures: dict[str, dict[str, list[float]]]) -> list[str]:
    """Which rows are behind the loops that are to be beaten on all of them; a row whose rounds were
    partly faster and partly slower than the other's is level."""
    lines = []
    for rival in RIVALS:
        both = {name: got for name, got in figures.items() if OURS in got and rival in got}
        if not both:
            lines.append(f"not measured  rows on both {OURS} and {rival}")
            continue
        behind = []
        for name, got in both.items():
            line = compared(got[OURS], got[rival])
            if line:
                behind.append(line.format(name, rival))
        lines += sorted(behind, reverse=True)
        if not any(line.startswith("NOT") for line in behind):
            lines.append(f"met           no row of {len(both)} is behind {rival} in all rounds")
    return lines


def in_order(figures: dict[str, Figures]) -> dict[str, Figures]:
    return {name: figures[name] for name in ROWS if name in figures}


def in_lines(result: dict[str, Any]) -> str:
    """JSON with the rounds of a row and loop in one line."""
    text = json.dumps(result, indent=1)
    return re.sub(r"\[\s+[\d.e+,\s-]+\]", lambda rounds: " ".join(rounds[0].split()), text)


def kept_runs(before: dict[str, Any], names: Sequence[str]) -> list[dict[str, Any]]:
    """The runs of before, with the rows that are theirs still."""
    runs = []
    for run in before["runs"]:
        rows = [name for name in run["rows"] if name not in names]
        if rows:
            runs.append({**run, "rows": rows})
    return runs


def main(argv: Sequence[str] | None = None) -> int:
    args = parse(argv)
    if args.list:
        with contextlib.suppress(BrokenPipeError):  # of `| head`
            print("\n".join(ROWS), flush=True)
        return 0
    names = default_rows()
    if args.rows:
        names = [name for name in ROWS if any(fnmatch.fnmatch(name, p) for p in args.rows)]
    loops = [loop for loop in args.loops if loop == BARE or is_here(loop)]
    for loop in args.loops:
        if loop not in loops:
            print(f"{loop}: absent")
    figures: dict[str, dict[str, list[float]]] = {}
    troubles: dict[str, dict[str, str]] = {}
    with tempfile.TemporaryDirectory(prefix="fastaio-micro-") as temporary:
        folder = Path(temporary)
        if any(name in outside.ROWS and "tls" in name for name in names):
            outside.make_certificate(folder)
        for name in names:
            figures[name], troubles[name] = run_row(name, loops, args, folder)
            medians = {loop: statistics.median(got) for loop, got in figures[name].items()}
            print(f"{name}: " + "  ".join(f"{k} {v:.2f}" for k, v in medians.items()), flush=True)
    cells = {
        (name, loop): statistics.median(rounds)
        for name, got in figures.items()
        for loop, rounds in got.items()
    }
    print("\n" + table("CPU us an operation", names, loops, cells))
    for name, got in troubles.items():
        for loop, text in got.items():
            print(f"  blank: {name}, {loop}: {text}")
    runs = [{**origin("benchmarks.micro", argv or sys.argv[1:]), "rows": names}]
    if args.keep and args.json and args.json.exists():
        before = json.loads(args.json.read_text())
        runs = kept_runs(before, names) + runs
        figures = {**before["rows"], **figures}
        troubles = {**before["troubles"], **troubles}
    lines = verdict(figures)
    print("\n" + "\n".join(lines))
    if args.json:
        result = {
            "runs": runs,
            "rows": {
                name: {
                    loop: [float(f"{figure:.4g}") for figure in got] for loop, got in row.items()
                }
                for name, row in in_order(figures).items()
            },
            "troubles": {name: got for name, got in in_order(troubles).items() if got},
            "must_reach": lines,
        }
        args.json.write_text(in_lines(result) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
