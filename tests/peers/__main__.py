"""Other projects' own tests on our loop, held against the same tests on asyncio's.

    python -m tests.peers aiohttp                 # both loops, and what differs
    python -m tests.peers aiohttp --loop fastaio  # one of them
    python -m tests.peers aiohttp -- -k shutdown  # arguments for pytest

A suite is a table of ``suites.toml``. Its source is unpacked, and the same version of it is
installed together with this checkout in an environment of their own, under ``build/peers``. A
crash or a hang costs one test, not the run. Tests that fail on ours only are repeated, with the
files they stand in, on both loops: what fails on asyncio's too is unsteady and no difference.
Fails if there is a difference, or if no loop of ours was made.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
LOOPS = ("asyncio", "fastaio")
#: How often pytest is started again after a test that ended the process.
RESTARTS = 40
REPEATS = 5
PYTEST_SUMMARIES = (0, 1, 5)  # all passed, some failed, none collected


class Suite:
    """A table of suites.toml.

    version
        What is installed, and whose tests are run.
    git
        The repository whose tag ``version`` has the tests, where the sdist has none.
    requires
        What the tests need.
    tests
        Arguments for pytest that say which tests; in the source's top folder.
    without
        Folders of the source that are taken away, so that what is installed is what is imported.
    args, env
        Arguments and environment variables for pytest.
    before
        Python statements, run before the suite is imported.
    leave
        Test ids (or beginnings of them) that are not run, and why.
    timeout
        Seconds a test may take.
    """

    def __init__(self, name: str, table: dict[str, Any]) -> None:
        self.name = name
        self.version: str = table.pop("version")
        self.git: str = table.pop("git", "")
        self.requires: list[str] = table.pop("requires")
        self.tests: list[str] = table.pop("tests")
        self.without: list[str] = table.pop("without", [])
        self.args: list[str] = table.pop("args", [])
        self.env: dict[str, str] = table.pop("env", {})
        self.before: str = table.pop("before", "")
        self.leave: dict[str, str] = table.pop("leave", {})
        self.timeout: float = table.pop("timeout", 60)
        if table:
            raise SystemExit(f"suites.toml: {name} has unknown keys: {', '.join(table)}")

    @property
    def requirement(self) -> str:
        return f"{self.name}=={self.version}"


def call(*command: str | Path, cwd: Path | None = None) -> None:
    print("$", *command, flush=True)
    subprocess.run([str(word) for word in command], cwd=cwd, check=True)


class Bench:
    """A suite's source and environment, made as far as they are not there yet."""

    def __init__(self, suite: Suite, python: str, folder: Path) -> None:
        version = subprocess.check_output(
            [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], text=True
        ).strip()
        self.suite = suite
        self.base = python
        self.folder = folder / f"{suite.name}-{suite.version}-py{version}"
        self.source = self.folder / "source"
        self.python = self.folder / "venv" / "bin" / "python"

    def prepare(self, reuse: bool) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.source.exists():
            self.unpack()
        if not self.python.exists():
            call(self.base, "-m", "venv", self.python.parent.parent)
        if not reuse:
            self.pip("install", "-q", self.suite.requirement, *self.suite.requires)
            # Its version stays the same while its code changes.
            self.pip("install", "-q", "--force-reinstall", "--no-deps", str(ROOT))

    def pip(self, *arguments: str) -> None:
        call(self.python, "-m", "pip", "--disable-pip-version-check", *arguments, cwd=self.folder)

    def unpack(self) -> None:
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            scratch = Path(name)
            if self.suite.git:
                clone = ("git", "clone", "-q", "--depth", "1", "--branch", self.suite.version)
                call(*clone, self.suite.git, scratch / "clone")
                top = scratch / "clone"
            else:
                download = ("pip", "download", "-q", "--no-deps", "--no-binary", ":all:")
                call(sys.executable, "-m", *download, "-d", scratch, self.suite.requirement)
                with tarfile.open(next(scratch.glob("*.tar.gz"))) as sdist:
                    sdist.extractall(scratch / "sdist", filter="data")
                (top,) = (scratch / "sdist").iterdir()
            for part in self.suite.without:
                shutil.rmtree(top / part)
            names = ("pytest.ini", "pyproject.toml", "setup.cfg", "tox.ini")
            files = [top / name for name in names if (top / name).exists()]
            if not any("pytest" in file.read_text() for file in files):
                (top / "pytest.ini").touch()  # lest pytest finds this checkout's further up
            top.rename(self.source)

    def run(self, loop: str, log: Path, what: Sequence[str]) -> None:
        """Run tests; after a test that ended the process, those that are left."""
        suite = self.suite
        log.unlink(missing_ok=True)
        environment = dict(os.environ, PYTHONPATH=str(HERE), PYTHONDONTWRITEBYTECODE="1")
        environment.update(PEER_LOOP=loop, PEER_LOG=str(log), PEER_TIMEOUT=str(suite.timeout))
        environment.update(suite.env, PEER_BEFORE=suite.before)
        command = [str(self.python.with_name("pytest")), "-q", "-p", "peer_loop", "--tb=short"]
        command += ["--rootdir", str(self.source), "--continue-on-collection-errors"]
        # pytest's own guard against hangs would take ours off where a test fails.
        command += ["-p", "no:cacheprovider", "-o", "addopts=", "-p", "no:faulthandler"]
        command += suite.args
        for ident in suite.leave:
            command += ["--deselect", ident]
        with log.with_suffix(".log").open("w") as output:
            for _ in range(RESTARTS):
                ended = subprocess.run(
                    [*command, *what],
                    cwd=self.source,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
                broken = [key for key, row in read(log).items() if row["outcome"] == "started"]
                for ident in broken:
                    why = f"the process ended with {ended.returncode}"
                    row = {"id": ident, "outcome": "failed", "why": why}
                    with log.open("a") as rows:
                        rows.write(json.dumps(row) + "\n")
                if not broken:
                    break
            if ended.returncode not in PYTEST_SUMMARIES or not log.exists():
                raise SystemExit(f"pytest ended with {ended.returncode}, see {output.name}")


def read(log: Path) -> dict[str, dict[str, Any]]:
    """Test ids to the last that was said of each."""
    if not log.exists():
        return {}
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    return {row["id"]: row for row in rows if "id" in row}


def loops_made(log: Path) -> Counter[str]:
    made: Counter[str] = Counter()
    for line in log.read_text().splitlines():
        made.update(json.loads(line).get("loops", {}))
    return made


def failures(log: Path) -> set[str]:
    return {ident for ident, row in read(log).items() if row["outcome"] == "failed"}


def summary(loop: str, log: Path) -> str:
    counts = Counter(row["outcome"] for row in read(log).values())
    made = loops_made(log)
    parts = [f"{counts[outcome]} {outcome}" for outcome in ("passed", "failed", "skipped")]
    return f"{loop}: {', '.join(parts)} (loops: {made['ours']} ours, {made['asyncio']} asyncio's)"


def repeated(bench: Bench, idents: set[str], extra: Sequence[str]) -> dict[str, list[int]]:
    """For each test how often it fails on asyncio's loop and on ours, its whole file run."""
    files = sorted({ident.partition("::")[0] for ident in idents})
    counts = {ident: [0, 0] for ident in sorted(idents)}
    for _ in range(REPEATS):
        for place, loop in enumerate(LOOPS):
            log = bench.folder / f"{loop}-again.jsonl"
            bench.run(loop, log, [*files, *extra])
            for ident in idents & failures(log):
                counts[ident][place] += 1
    return counts


def compare(bench: Bench, extra: Sequence[str]) -> int:
    """Print what fails on our loop and not on asyncio's, and how steadily; 1 if anything does."""
    logs = {loop: bench.folder / f"{loop}.jsonl" for loop in LOOPS}
    only = failures(logs["fastaio"]) - failures(logs["asyncio"])
    missing = set(read(logs["asyncio"])) - set(read(logs["fastaio"]))
    for ident in sorted(missing):
        print("not run on fastaio:", ident)
    if not only:
        print("no test fails on fastaio only")
        return int(bool(missing))
    wrong = bool(missing)
    for ident, (on_asyncio, on_ours) in repeated(bench, only, extra).items():
        verdict = "unsteady" if on_asyncio or not on_ours else "DIFFERS"
        wrong = wrong or verdict == "DIFFERS"
        times = f"{on_ours} of {REPEATS} on fastaio, {on_asyncio} on asyncio"
        print(f"{verdict}: {ident}\n    fails again {times}")
        print("    " + read(logs["fastaio"])[ident]["why"].strip().replace("\n", "\n    "))
    return int(wrong)


def main() -> int:
    tables = tomllib.loads((HERE / "suites.toml").read_text())
    parser = argparse.ArgumentParser(
        prog="python -m tests.peers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", choices=sorted(tables))
    parser.add_argument("--loop", choices=LOOPS, help="run on this one only (default: both)")
    parser.add_argument("--python", default=sys.executable, help="the interpreter to test with")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "peers")
    parser.add_argument("--reuse", action="store_true", help="test what is installed already")
    parser.add_argument("pytest", nargs="*", help="arguments for pytest, after --")
    args = parser.parse_args()

    suite = Suite(args.name, tables[args.name])
    bench = Bench(suite, args.python, args.folder.resolve())
    bench.prepare(args.reuse)
    chosen = [word for word in args.pytest if not word.startswith("-") and "::" in word]
    what = args.pytest if chosen else [*suite.tests, *args.pytest]
    for loop in [args.loop] if args.loop else LOOPS:
        log = bench.folder / f"{loop}.jsonl"
        bench.run(loop, log, what)
        print(f"{suite.requirement} on {summary(loop, log)}", flush=True)
        if loop == "fastaio" and not loops_made(log)["ours"]:
            print("no loop of ours was made: the run says nothing")
            return 1
    if args.loop:
        for ident in sorted(failures(bench.folder / f"{args.loop}.jsonl")):
            print("failed:", ident)
        return 0
    return compare(bench, [word for word in args.pytest if word not in chosen])


if __name__ == "__main__":
    sys.exit(main())
