"""Runs compilers and linkers only when their result would be another one.

A step is stale when its output is missing, when the command differs from the one that made it, or
when an input (a source, any header the compiler read, an object file) is newer than the output.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path


class StepError(Exception):
    """A command failed; what it printed has been shown."""


@dataclass(frozen=True)
class Step:
    """One command, the file it makes, and the inputs that are known beforehand.

    `rules` is the file in which the compiler itself lists what it read (-MD -MF).
    """

    command: tuple[str, ...]
    output: Path
    inputs: tuple[str, ...] = ()
    rules: Path | None = None

    @property
    def memo(self) -> Path:
        """Where the command that made the output is kept."""
        return self.output.with_name(self.output.name + ".command")


def read_rules(text: str) -> list[str]:
    """The prerequisites of the first rule of a dependency file."""
    logical = text.replace("\\\n", " ").split("\n", 1)[0]
    return shlex.split(logical.partition(": ")[2])


def _modified(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except FileNotFoundError:
        return float("inf")


def stale_steps(steps: Sequence[Step]) -> list[Step]:
    """Those of the steps that have to run."""
    modified = cache(_modified)

    def is_stale(step: Step) -> bool:
        if not step.output.exists() or not step.memo.exists():
            return True
        if step.memo.read_text() != shlex.join(step.command):
            return True
        inputs = list(step.inputs)
        if step.rules is not None:
            if not step.rules.exists():
                return True
            inputs += read_rules(step.rules.read_text())
        made = _modified(str(step.output))
        return any(modified(path) > made for path in inputs)

    return [step for step in steps if is_stale(step)]


def run(step: Step) -> None:
    """Runs the step's command; what it prints is shown. StepError when it fails."""
    step.output.parent.mkdir(parents=True, exist_ok=True)
    step.memo.unlink(missing_ok=True)
    done = subprocess.run(
        step.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.stdout.strip():
        print(done.stdout, flush=True)
    if done.returncode != 0:
        raise StepError(shlex.join(step.command))
    step.memo.write_text(shlex.join(step.command))


def run_stale(steps: Sequence[Step], workers: int) -> int:
    """Runs what is stale, `workers` at a time; how many that were."""
    todo = stale_steps(steps)
    with ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(run, todo):
            pass
    return len(todo)
