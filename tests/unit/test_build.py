"""How the package is built: pinned sources, switches, what the binary and its metadata hold.

The tests of the build's own code need a checkout or an unpacked source archive, which is where
this file is; those of the result look at whatever fastaio is installed.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from types import ModuleType

import pytest

import fastaio._core

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The build's own package, with no FASTAIO_ variable set."""
    monkeypatch.syspath_prepend(ROOT)
    for name in list(os.environ):
        if name.startswith("FASTAIO_"):
            monkeypatch.delenv(name)
    for name in ("incremental", "libraries", "switches", "thirdparty"):
        importlib.import_module(f"tools.{name}")
    return sys.modules["tools"]


def archive(path: Path, members: dict[str, bytes]) -> str:
    """Writes a .tar.gz of regular files; its sha256."""
    with tarfile.open(path, "w:gz") as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return hashlib.sha256(path.read_bytes()).hexdigest()


class TestThirdParty:
    """tools/thirdparty.py: nothing is unpacked but what third_party.lock names."""

    @pytest.fixture
    def sources(
        self, tools: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> ModuleType:
        """The module, working in a folder of its own, offline."""
        monkeypatch.setattr(tools.thirdparty, "ROOT", tmp_path)
        monkeypatch.setattr(tools.thirdparty, "LOCK", tmp_path / "third_party.lock")
        monkeypatch.setattr(tools.thirdparty, "DEST", tmp_path / "third_party")
        monkeypatch.setenv("FASTAIO_SDIST_DIR", str(tmp_path))
        return tools.thirdparty

    def lock(self, tmp_path: Path, sha256: str) -> None:
        (tmp_path / "third_party.lock").write_text(
            "# bundle: libuv 9.8.7 MIT carrier-*/vendor/libuv include/* LICENSE\n"
            f"carrier==1.0 --hash=sha256:{sha256}\n"
        )

    def test_the_lock_pins_both_libraries(self, tools: ModuleType) -> None:
        bundles = {b.name: b for b in tools.thirdparty.bundles()}
        assert set(bundles) == {"libuv", "llhttp"}
        for bundle in bundles.values():
            assert len(bundle.sha256) == 64
            assert f"=={bundle.project_version} --hash=sha256:" in bundle.requirement

    def test_takes_what_the_lock_names_and_no_more(
        self, sources: ModuleType, tmp_path: Path
    ) -> None:
        members = {
            "carrier-1.0/vendor/libuv/include/uv.h": b"header",
            "carrier-1.0/vendor/libuv/include/uv/unix.h": b"inner",
            "carrier-1.0/vendor/libuv/LICENSE": b"words",
            "carrier-1.0/vendor/libuv/configure": b"#!/bin/sh",
            "carrier-1.0/setup.py": b"raise SystemExit",
            "carrier-1.0/vendor/libuv/include/../../../../out.h": b"out",
        }
        self.lock(tmp_path, archive(tmp_path / "carrier-1.0.tar.gz", members))
        sources.ensure(["libuv"])
        found = {
            str(path.relative_to(tmp_path / "third_party/libuv")): path.read_bytes()
            for path in (tmp_path / "third_party").rglob("*")
            if path.is_file() and path.name != ".stamp"
        }
        assert found == {
            "include/uv.h": b"header",
            "include/uv/unix.h": b"inner",
            "LICENSE": b"words",
        }
        assert not list(tmp_path.rglob("out.h"))
        assert "words" in sources.notice(["libuv"])

    def test_refuses_a_wrong_hash_before_it_reads_the_archive(
        self, sources: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        got = archive(tmp_path / "carrier-1.0.tar.gz", {"carrier-1.0/vendor/libuv/LICENSE": b""})
        self.lock(tmp_path, "0" * 64)
        opened = []
        monkeypatch.setattr(sources.tarfile, "open", lambda *a, **k: opened.append(a))
        with pytest.raises(SystemExit, match=f"sha256 {got}, third_party.lock wants 0000"):
            sources.ensure(["libuv"])
        assert not opened
        assert not (tmp_path / "third_party/libuv").exists()

    def test_a_changed_lock_fetches_again(self, sources: ModuleType, tmp_path: Path) -> None:
        for text in (b"first", b"second"):
            members = {"carrier-1.0/vendor/libuv/LICENSE": text}
            self.lock(tmp_path, archive(tmp_path / "carrier-1.0.tar.gz", members))
            sources.ensure(["libuv"])
            assert (tmp_path / "third_party/libuv/LICENSE").read_bytes() == text
        (tmp_path / "carrier-1.0.tar.gz").unlink()
        sources.ensure(["libuv"])  # a matching stamp asks for no archive

    def test_says_what_is_missing_offline(self, sources: ModuleType, tmp_path: Path) -> None:
        self.lock(tmp_path, "0" * 64)
        with pytest.raises(SystemExit, match=r"carrier-1\.0\.tar\.gz is not there"):
            sources.ensure(["libuv"])

    def test_says_what_to_do_when_the_download_fails(
        self, sources: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.lock(tmp_path, "0" * 64)
        monkeypatch.delenv("FASTAIO_SDIST_DIR")
        failed = subprocess.CompletedProcess([], 1, stdout="no network")
        monkeypatch.setattr(sources.subprocess, "run", lambda *a, **k: failed)
        with pytest.raises(SystemExit) as caught:
            sources.ensure(["libuv"])
        message = str(caught.value)
        for word in ("no network", "carrier-1.0.tar.gz", "FASTAIO_SDIST_DIR"):
            assert word in message
        assert "FASTAIO_USE_SYSTEM_LIBUV=1" in message

    def test_a_released_archive_uses_its_own_sources(
        self, sources: ModuleType, tmp_path: Path
    ) -> None:
        self.lock(tmp_path, "0" * 64)
        (tmp_path / "PKG-INFO").touch()
        (tmp_path / "third_party/libuv").mkdir(parents=True)
        sources.ensure(["libuv"])

    def test_sbom(self, tools: ModuleType) -> None:
        document = json.loads(tools.thirdparty.sbom("1.2.3", ["libuv"]))
        assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
        assert document["metadata"]["component"]["version"] == "1.2.3"
        (component,) = document["components"]
        (bundle,) = tools.thirdparty.bundles(["libuv"])
        assert component["version"] == bundle.version
        hashes = component["pedigree"]["ancestors"][0]["hashes"]
        assert hashes == [{"alg": "SHA-256", "content": bundle.sha256}]


class TestSwitches:
    """tools/switches.py and tools/libraries.py: a bad switch is one clear line."""

    @pytest.mark.parametrize(("value", "expected"), [("1", True), ("yes", True), ("0", False)])
    def test_flag(
        self, tools: ModuleType, monkeypatch: pytest.MonkeyPatch, value: str, expected: bool
    ) -> None:
        monkeypatch.setenv("FASTAIO_WERROR", value)
        assert tools.switches.flag("FASTAIO_WERROR") is expected
        assert tools.switches.flag("FASTAIO_WERROR", default=True) is expected

    def test_an_unset_flag_is_its_default(self, tools: ModuleType) -> None:
        assert not tools.switches.flag("FASTAIO_WERROR")
        assert tools.switches.flag("FASTAIO_WERROR", default=True)

    def test_an_unknown_value(self, tools: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FASTAIO_WERROR", "maybe")
        with pytest.raises(SystemExit, match="FASTAIO_WERROR is 1 or 0, not 'maybe'"):
            tools.switches.flag("FASTAIO_WERROR")

    @pytest.mark.parametrize("value", ["0", "many", "-1"])
    def test_bad_jobs(self, tools: ModuleType, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
        monkeypatch.setenv("FASTAIO_JOBS", value)
        with pytest.raises(SystemExit, match="FASTAIO_JOBS is a number"):
            tools.switches.jobs()

    def test_flags_of_each_kind(self, tools: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
        flags = tools.switches.code_flags
        assert {"-O3", "-DNDEBUG", "-flto=auto"} <= set(flags(optimise_across_files=True))
        assert "-flto=auto" not in flags(optimise_across_files=False)
        monkeypatch.setenv("FASTAIO_LTO", "1")
        assert "-flto=auto" in flags(optimise_across_files=False)
        monkeypatch.setenv("FASTAIO_DEBUG", "1")
        assert {"-O0", "-g3", "-UNDEBUG"} <= set(flags(optimise_across_files=True))
        assert not {"-O3", "-flto=auto"} & set(flags(optimise_across_files=True))
        monkeypatch.setenv("FASTAIO_SANITIZE", "address,undefined")
        assert "-fsanitize=address,undefined" in flags(optimise_across_files=True)
        monkeypatch.setenv("FASTAIO_COVERAGE", "1")
        monkeypatch.setenv("FASTAIO_CFLAGS", "-DA='b c' -march=native")
        assert flags(optimise_across_files=True)[-3:] == ["--coverage", "-DA=b c", "-march=native"]

    def pkg_config(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
        """A pkg-config that knows both libraries in `version` (compared as text)."""
        script = tmp_path / "pkg-config.py"
        script.write_text(
            "import sys\n"
            "option, package = sys.argv[1:]\n"
            "if option.startswith('--atleast-version='):\n"
            f"    sys.exit(option.partition('=')[2] > {version!r})\n"
            "print({'--cflags': '-I/there/' + package, '--libs': '-l' + package}[option])\n"
        )
        monkeypatch.setenv("PKG_CONFIG", f"{sys.executable} {script}")

    @pytest.mark.parametrize(
        ("name", "package", "least"),
        [("libuv", "libuv", "1.48.0"), ("llhttp", "libllhttp", "9.2.1")],
    )
    def test_system_library(
        self,
        tools: ModuleType,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        name: str,
        package: str,
        least: str,
    ) -> None:
        monkeypatch.setenv(f"FASTAIO_USE_SYSTEM_{name.upper()}", "1")
        self.pkg_config(tmp_path, monkeypatch, least)
        found = [part for part in tools.libraries.libraries() if not part.sources]
        assert [(part.public, part.ldflags) for part in found] == [
            ([f"-I/there/{package}"], [f"-l{package}"])
        ]
        assert tools.libraries.bundled_names() == [n for n in ("libuv", "llhttp") if n != name]

    @pytest.mark.parametrize(
        ("name", "package", "old", "least"),
        [("libuv", "libuv", "1.47.0", "1.48.0"), ("llhttp", "libllhttp", "9.2.0", "9.2.1")],
    )
    def test_system_library_under_the_minimum(
        self,
        tools: ModuleType,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        name: str,
        package: str,
        old: str,
        least: str,
    ) -> None:
        monkeypatch.setenv(f"FASTAIO_USE_SYSTEM_{name.upper()}", "1")
        self.pkg_config(tmp_path, monkeypatch, old)
        with pytest.raises(SystemExit, match=rf"SYSTEM_{name.upper()}=1, .* {package} >= {least}"):
            tools.libraries.libraries()

    def test_no_pkg_config(
        self, tools: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("FASTAIO_USE_SYSTEM_LIBUV", "1")
        monkeypatch.setenv("PKG_CONFIG", str(tmp_path / "missing"))
        with pytest.raises(SystemExit, match=r"knows no libuv >= 1\.48\.0"):
            tools.libraries.libraries()


class TestIncremental:
    """tools/incremental.py: a step runs when its result would be another one."""

    def step(self, tools: ModuleType, tmp_path: Path, *extra: str) -> object:
        """Copies `input` to `output` and says that it also read `header`."""
        script = (
            "import pathlib, sys; d = pathlib.Path(sys.argv[1]);"
            "(d / 'output').write_text((d / 'input').read_text());"
            "(d / 'rules').write_text(f'output: {d}/input \\\\\\n {d}/header\\n\\nother: x\\n')"
        )
        command = (sys.executable, "-c", script, str(tmp_path), *extra)
        return tools.incremental.Step(command, tmp_path / "output", rules=tmp_path / "rules")

    def test_runs_only_what_is_stale(self, tools: ModuleType, tmp_path: Path) -> None:
        for name in ("input", "header"):
            (tmp_path / name).write_text(name)
        step = self.step(tools, tmp_path)
        assert tools.incremental.run_stale([step], 1) == 1
        assert tools.incremental.run_stale([step], 1) == 0
        later = time.time() + 10
        for name in ("input", "header"):
            os.utime(tmp_path / "output")
            os.utime(tmp_path / name, (later, later))
            assert tools.incremental.run_stale([step], 1) == 1, name
            os.utime(tmp_path / name, (1, 1))
        assert tools.incremental.run_stale([step], 1) == 0
        assert tools.incremental.run_stale([self.step(tools, tmp_path, "-Wall")], 1) == 1
        (tmp_path / "output").unlink()
        assert tools.incremental.run_stale([self.step(tools, tmp_path, "-Wall")], 1) == 1
        (tmp_path / "header").unlink()
        assert tools.incremental.run_stale([self.step(tools, tmp_path, "-Wall")], 1) == 1

    def test_a_failure_is_shown_and_tried_again(
        self, tools: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        program = "import sys; print('no such thing'); sys.exit(1)"
        step = tools.incremental.Step((sys.executable, "-c", program), tmp_path / "output")
        for _ in range(2):
            with pytest.raises(tools.incremental.StepError, match="no such thing"):
                tools.incremental.run_stale([step], 1)
            assert "no such thing" in capsys.readouterr().out


class TestResult:
    """The extension module and the metadata of the fastaio that is installed."""

    @pytest.mark.skipif(shutil.which("nm") is None, reason="nm comes with binutils")
    def test_exports_its_init_function_alone(self) -> None:
        listed = subprocess.run(
            ["nm", "-D", "--defined-only", fastaio._core.__file__],
            check=True,
            text=True,
            capture_output=True,
        )
        exported = {line.split()[-1] for line in listed.stdout.splitlines()}
        # The sanitizers' run-time libraries are looked up through such names.
        own = {
            name for name in exported if not name.startswith(("__asan", "__odr_asan", "__ubsan"))
        }
        assert own == {"PyInit__core"}

    @pytest.fixture
    def metadata(self) -> importlib.metadata.Distribution:
        """What pip installed; a checkout may have another, unfinished one beside it."""
        for found in importlib.metadata.distributions(name="fastaio"):
            if found.read_text("WHEEL"):
                return found
        pytest.skip("fastaio is imported from a checkout that was not installed")

    def test_the_metadata_carries_licences_and_the_bill_of_materials(
        self, metadata: importlib.metadata.Distribution
    ) -> None:
        notice = metadata.read_text("licenses/NOTICE")
        assert notice is not None
        assert "MIT" in (metadata.read_text("licenses/LICENSE") or "")
        document = json.loads(metadata.read_text("sboms/fastaio.cdx.json") or "{}")
        assert document["metadata"]["component"]["version"] == fastaio.__version__
        for component in document["components"]:
            assert f"{component['name']} {component['version']} (LICENSE" in notice
        assert "Permission is hereby granted" in notice

    def test_one_version(self, metadata: importlib.metadata.Distribution) -> None:
        assert fastaio.__version__ == metadata.version
