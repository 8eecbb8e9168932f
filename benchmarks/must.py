"""What fastaio has set itself to reach, judged on the figures of one run."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.workloads import PIPELINE_DEPTH

OURS = "fastaio"
WAITS = ("epoll_wait", "epoll_pwait", "epoll_pwait2", "io_uring_enter")
CALLS_A_BATCH = 2.1
"""One read and one write, and room for setting up the connections of the round."""
IDLE_BYTES = 2048
IMPORT_MS = 30.0

Figures = Mapping[str, Mapping[str, Mapping[str, float]]]


@dataclass(frozen=True)
class Ratio:
    """CPU time a request: ours over the other's is at most `bound`."""

    workload: str
    other: str
    bound: float


RATIOS = (
    *(Ratio(name, "c", 1.25) for name in ("plaintext", "headers", "path")),
    *(Ratio(name, "aiohttp-uvloop", 1 / 5) for name in ("plaintext", "headers", "path")),
    Ratio("stream", "c", 1.3),
    Ratio("file", "c", 1.5),
    Ratio("pipeline", "c", 3.0),
)


def _line(what: str, value: float | None, bound: float, unit: str = "") -> str:
    if value is None:
        return f"not measured  {what}: at most {bound:g}{unit}"
    verdict = "met    " if value <= bound else "NOT met"
    return f"{verdict}       {what}: {value:.3g}{unit}, at most {bound:.3g}{unit}"


def _ratio(figures: Figures, rule: Ratio) -> str:
    got = figures.get(rule.workload, {})
    value = None
    if OURS in got and rule.other in got:
        value = got[OURS]["cpu_us"] / got[rule.other]["cpu_us"]
    if rule.bound < 1 and value is not None:
        verdict = "met    " if value <= rule.bound else "NOT met"
        return (
            f"{verdict}       {rule.workload}: {1 / value:.3g} x less CPU than {rule.other},"
            f" at least {1 / rule.bound:g} x"
        )
    return _line(f"{rule.workload}: CPU over {rule.other}'s", value, rule.bound, " x")


def verdicts(figures: Figures, extras: Mapping[str, Any]) -> list[str]:
    """A line for each bound: met or not, and by how much."""
    lines = [_ratio(figures, rule) for rule in RATIOS]
    counted = extras.get("syscalls", {})
    for name, depth in (("plaintext", 1), ("pipeline", PIPELINE_DEPTH)):
        calls = counted.get(name, {}).get(OURS)
        value = None
        if calls is not None:
            value = depth * sum(n for call, n in calls.items() if call not in WAITS)
        lines.append(_line(f"{name}: system calls a read batch", value, CALLS_A_BATCH))
    idle = extras.get("idle_bytes", {}).get(OURS)
    lines.append(_line("RSS of an idle keep-alive connection", idle, IDLE_BYTES, " B"))
    spent = extras.get("import_ms", {}).get(OURS)
    lines.append(_line("import fastaio", spent, IMPORT_MS, " ms"))
    return lines
