"""The same application in each contender, side by side, in interleaved rounds.

    python -m benchmarks.run                                   all of it, about ten minutes
    python -m benchmarks.run --workloads plaintext path --contenders c fastaio --rounds 5
    python -m benchmarks.run --extras none                     without system calls, memory, import

The server runs on one CPU, wrk on another. The figure to trust is the CPU time of the server a
request: it hardly moves when something else runs on the machine. Every answer is checked before
anything is measured, and a contender or a tool that is not here is named and left out.
"""

import argparse
import contextlib
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import measure
from benchmarks.contenders import CONTENDERS, DEFAULT, Contender, Start, environment
from benchmarks.must import verdicts
from benchmarks.origin import origin
from benchmarks.table import table
from benchmarks.workloads import PAGE_BODY, WORKLOADS, Workload, ask

EXTRAS = ("syscalls", "idle", "import")
TRACED = ("plaintext", "headers", "path", "pipeline")
IDLE_CONNECTIONS = 5000
IMPORT_ROUNDS = 11
IMPORTS = ("fastaio", "fastaio.web", "uvloop", "aiohttp.web", "uvicorn")
COLUMNS = (
    ("cpu_us", "CPU us a request"),
    ("rps", "requests a second"),
    ("p50_us", "median latency, us"),
    ("p99_us", "99th percentile, us"),
    ("rss_mib", "RSS under load, MiB"),
)


class Bench:
    """The contenders that run here, their servers, and the figures so far."""

    def __init__(self, args: argparse.Namespace, folder: Path) -> None:
        self.args = args
        self.folder = folder
        self.page = folder / "page.html"
        self.page.write_bytes(PAGE_BODY)
        self.contenders: list[Contender] = []
        self.servers: dict[tuple[str, int], tuple[subprocess.Popen[bytes], int]] = {}
        self.figures: dict[str, dict[str, dict[str, float]]] = {}
        self.extras: dict[str, Any] = {}
        self.troubles: dict[str, str] = {}
        for name in args.contenders:
            reason = CONTENDERS[name].absent()
            if reason is None:
                self.contenders.append(CONTENDERS[name])
            else:
                self.trouble(name, f"absent: {reason}")

    def trouble(self, what: str, text: str) -> None:
        self.troubles[what] = text
        print(f"{what}: {text}", flush=True)

    def start(self, contender: Contender, layers: int) -> tuple["subprocess.Popen[bytes]", int]:
        """Starts a server; its process and port."""
        own = Path(tempfile.mkdtemp(prefix=contender.name, dir=self.folder))
        start = Start(measure.free_port(), self.page, layers, own)
        log = own / "log"
        with log.open("wb") as out:
            process = measure.spawn(
                contender.command(start),
                measure.SERVER_CPU,
                env=environment(start),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        try:
            measure.wait_for_port(start.port, process, log)
        except BaseException:
            measure.stop(process)
            raise
        return process, start.port

    def server(self, contender: Contender, layers: int) -> tuple["subprocess.Popen[bytes]", int]:
        """The contender's server with that many middlewares, started when first asked for."""
        key = contender.name, layers
        if key not in self.servers:
            self.servers[key] = self.start(contender, layers)
        return self.servers[key]

    @contextlib.contextmanager
    def fresh(self, contender: Contender) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
        process, port = self.start(contender, 0)
        try:
            yield process, port
        finally:
            measure.stop(process)

    def close(self) -> None:
        for process, _ in self.servers.values():
            measure.stop(process)
        self.servers.clear()

    def request_file(self, workload: Workload) -> Path:
        path = self.folder / f"{workload.name}.request"
        path.write_bytes(workload.request)
        return path

    def able(self, workload: Workload) -> list[Contender]:
        """The contenders whose answers to this workload are right."""
        right = []
        for contender in self.contenders:
            if workload.name not in contender.workloads:
                continue
            try:
                _, port = self.server(contender, workload.layers)
                with measure.connect(port) as sock:
                    # Twice on one connection: what is measured is keep-alive.
                    wrong = ask(sock, workload) or ask(sock, workload)
            except (measure.ContenderError, OSError) as error:
                wrong = str(error)
            if wrong is None:
                right.append(contender)
            else:
                self.trouble(f"{contender.name}, {workload.name}", wrong)
        return right


def timed(bench: Bench, contender: Contender, workload: Workload) -> dict[str, float]:
    """One round of one contender."""
    process, port = bench.server(contender, workload.layers)
    request = bench.request_file(workload)
    before = measure.cpu_seconds(process.pid)
    load = measure.wrk(port, request, bench.args.seconds, bench.args.connections)
    used = measure.cpu_seconds(process.pid) - before
    return {
        "cpu_us": used * 1e6 / load.requests,
        "rps": load.requests / load.seconds,
        "p50_us": load.p50,
        "p99_us": load.p99,
        "rss_mib": measure.rss_bytes(process.pid) / 2**20,
    }


def run_workload(bench: Bench, workload: Workload) -> None:
    """All rounds of a workload, the contenders taking turns; leaves the medians in the figures."""
    able = bench.able(workload)
    rounds: dict[str, list[dict[str, float]]] = {contender.name: [] for contender in able}
    for number in range(bench.args.rounds):
        for contender in able if number % 2 == 0 else reversed(able):
            try:
                rounds[contender.name].append(timed(bench, contender, workload))
            except measure.ContenderError as error:
                bench.trouble(f"{contender.name}, {workload.name}", str(error))
    bench.figures[workload.name] = {
        name: {key: statistics.median(one[key] for one in got) for key, _ in COLUMNS}
        for name, got in rounds.items()
        if got
    }
    shown = "  ".join(
        f"{name} {got['cpu_us']:.1f}" for name, got in bench.figures[workload.name].items()
    )
    print(f"{workload.name}: {shown}", flush=True)


def trace(bench: Bench) -> None:
    """System calls a request, by strace, in a round of its own: tracing slows everything."""
    if shutil.which("strace") is None:
        bench.trouble("system calls", "absent: no strace")
        return
    counted: dict[str, dict[str, dict[str, float]]] = {}
    for name in TRACED:
        workload = WORKLOADS[name]
        for contender in bench.able(workload):
            process, port = bench.server(contender, workload.layers)
            try:
                with measure.system_calls(process.pid) as calls:
                    load = measure.wrk(port, bench.request_file(workload), 2, 16)
            except measure.ContenderError as error:
                bench.trouble(f"{contender.name}, system calls", str(error))
                continue
            counted.setdefault(name, {})[contender.name] = {
                call: number / load.requests
                for call, number in calls.most_common()
                if number / load.requests >= 0.005
            }
    bench.extras["syscalls"] = counted


def hold_idle(bench: Bench) -> None:
    """RSS an idle keep-alive connection costs, each after one request, on a fresh server."""
    measure.raise_file_limit()
    workload = WORKLOADS["plaintext"]
    cost: dict[str, float] = {}
    for contender in bench.contenders:
        held = []
        try:
            with bench.fresh(contender) as (process, port):
                try:
                    with measure.connect(port) as sock:
                        for _ in range(100):
                            ask(sock, workload)
                    before = measure.rss_bytes(process.pid)
                    for _ in range(IDLE_CONNECTIONS):
                        held.append(measure.connect(port))
                        wrong = ask(held[-1], workload)
                        if wrong:
                            raise measure.ContenderError(wrong)
                    after = measure.rss_bytes(process.pid)
                    cost[contender.name] = (after - before) / IDLE_CONNECTIONS
                finally:
                    for sock in held:
                        sock.close()
        except (measure.ContenderError, OSError) as error:
            bench.trouble(f"{contender.name}, idle connections", str(error))
    bench.extras["idle_bytes"] = cost


def time_imports(bench: Bench) -> None:
    """CPU milliseconds `import X` adds to an interpreter that has imported asyncio."""
    base = "import asyncio"
    taken: dict[str, list[float]] = {}
    for _ in range(IMPORT_ROUNDS):
        for module in (base, *IMPORTS):
            code = base if module == base else f"{base}, {module}"
            with contextlib.suppress(measure.ContenderError):
                spent = measure.child_cpu_ms([sys.executable, "-c", code])
                taken.setdefault(module, []).append(spent)
    floor = statistics.median(taken[base])
    bench.extras["import_ms"] = {
        module: statistics.median(times) - floor
        for module, times in taken.items()
        if module != base
    }
    bench.extras["interpreter_ms"] = floor


EXTRA_STEPS: dict[str, Callable[[Bench], None]] = {
    "syscalls": trace,
    "idle": hold_idle,
    "import": time_imports,
}


def report(bench: Bench) -> None:
    """Prints the tables."""
    names = [contender.name for contender in bench.contenders]
    rows = list(bench.figures)
    for key, title in COLUMNS if rows else ():
        cells = {
            (row, name): got[name][key]
            for row, got in bench.figures.items()
            for name in names
            if name in got
        }
        print("\n" + table(title, rows, names, cells))
    counted = bench.extras.get("syscalls", {})
    if counted:
        cells = {
            (row, name): sum(calls.values())
            for row, got in counted.items()
            for name, calls in got.items()
        }
        print("\n" + table("system calls a request", list(counted), names, cells))
        for row, got in counted.items():
            for name in got:
                calls = ", ".join(f"{call} {share:.2f}" for call, share in got[name].items())
                print(f"  {row}, {name}: {calls}")
    if "idle_bytes" in bench.extras:
        idle = {("bytes", name): cost for name, cost in bench.extras["idle_bytes"].items()}
        print(
            "\n"
            + table(f"RSS an idle connection ({IDLE_CONNECTIONS} held)", ["bytes"], names, idle)
        )
    if "import_ms" in bench.extras:
        times = bench.extras["import_ms"]
        cells = {("CPU ms", module): spent for module, spent in times.items()}
        print(
            "\n"
            + table("import, beyond an interpreter with asyncio", ["CPU ms"], list(times), cells)
        )


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.run",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--contenders", nargs="+", default=DEFAULT, choices=tuple(CONTENDERS))
    parser.add_argument(
        "--workloads", nargs="+", default=tuple(WORKLOADS), choices=tuple(WORKLOADS)
    )
    parser.add_argument("--extras", nargs="+", default=EXTRAS, choices=(*EXTRAS, "none"))
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each (default 3)")
    parser.add_argument("--seconds", type=int, default=2, help="seconds a round (default 2)")
    parser.add_argument("--connections", type=int, default=64, help="kept open (default 64)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse(argv)
    if shutil.which("wrk") is None:
        print("wrk is needed to make the load (Debian package: wrk)")
        return 2
    with tempfile.TemporaryDirectory(prefix="fastaio-bench-") as folder:
        bench = Bench(args, Path(folder))
        try:
            for name in args.workloads:
                run_workload(bench, WORKLOADS[name])
            for extra in args.extras:
                if extra != "none":
                    EXTRA_STEPS[extra](bench)
        finally:
            bench.close()
    report(bench)
    lines = verdicts(bench.figures, bench.extras)
    print("\n" + "\n".join(lines))
    if args.json:
        result = {
            **origin("benchmarks.run", argv or sys.argv[1:]),
            "rounds": args.rounds,
            "seconds": args.seconds,
            "connections": args.connections,
            "workloads": bench.figures,
            **bench.extras,
            "troubles": bench.troubles,
            "must_reach": lines,
        }
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
