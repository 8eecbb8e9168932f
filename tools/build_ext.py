"""setuptools commands: a parallel build_ext that compiles only what changed, wheels with an SBOM.

Switches are environment variables: FASTAIO_DEBUG, FASTAIO_SANITIZE, FASTAIO_COVERAGE, FASTAIO_WERROR,
FASTAIO_CFLAGS, FASTAIO_JOBS. Every set of them, and every Python, has an object folder of its own.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from setuptools import Extension
from setuptools.command.bdist_wheel import bdist_wheel as _bdist_wheel
from setuptools.command.build_ext import build_ext as _build_ext
from setuptools.errors import CompileError

from . import thirdparty
from .libraries import bundled_names, flag, libraries

WARNINGS = """
    -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition
    -Wpointer-arith -Wundef -Wvla -Wformat=2 -Wno-cast-function-type -Wno-unused-parameter
""".split()


def code_flags() -> list[str]:
    """How code is generated, for every file and for linking."""
    flags = ["-fvisibility=hidden", "-fno-strict-aliasing", "-fno-plt", "-pthread"]
    sanitize = os.environ.get("FASTAIO_SANITIZE", "")
    if flag("FASTAIO_DEBUG") or sanitize or flag("FASTAIO_COVERAGE"):
        level = "-O1" if sanitize else "-O0"
        flags += [level, "-g3", "-UNDEBUG", "-fno-omit-frame-pointer"]
    else:
        flags += ["-O3", "-g1", "-DNDEBUG", "-flto=auto", "-fno-semantic-interposition"]
    if sanitize:
        flags += [f"-fsanitize={sanitize}", "-fno-sanitize-recover=undefined"]
    if flag("FASTAIO_COVERAGE"):
        flags += ["--coverage"]
    return flags + shlex.split(os.environ.get("FASTAIO_CFLAGS", ""))


class build_ext(_build_ext):  # noqa: N801 (the name setuptools knows the command by)
    """Compiles in parallel, and only what changed: sources, the headers they read, the command."""

    def finalize_options(self) -> None:
        super().finalize_options()
        # One folder for every way to build: an editable install would take a throw-away one.
        tag = hashlib.sha256(" ".join(code_flags()).encode()).hexdigest()[:8]
        self.build_temp = f"build/obj{sysconfig.get_config_var('EXT_SUFFIX')}-{tag}"

    def build_extension(self, ext: Extension) -> None:
        thirdparty.ensure(bundled_names())
        parts = libraries()
        folder = Path(self.build_temp)
        folder.mkdir(parents=True, exist_ok=True)
        own = ["-std=c11", "-D_GNU_SOURCE", *WARNINGS, "-Icsrc"]
        own += ["-isystem", sysconfig.get_path("include")]
        own += [word for part in parts for word in part.public]
        own += ["-Werror"] if flag("FASTAIO_WERROR") else []
        jobs = [self._job(source, own) for source in ext.sources]
        for part in parts:
            jobs += [self._job(source, ["-std=gnu11", *part.cflags]) for source in part.sources]
        workers = int(os.environ.get("FASTAIO_JOBS") or os.cpu_count() or 1)
        with ThreadPoolExecutor(workers) as pool:
            compiled = list(pool.map(self._compile, jobs))
        self._link(ext, [job[-1] for job in jobs], [w for part in parts for w in part.ldflags])
        print(f"fastaio: {sum(compiled)} of {len(compiled)} files compiled", flush=True)

    def _job(self, source: str, flags: list[str]) -> list[str]:
        """The command that compiles `source`; its last word is the object file."""
        out = Path(self.build_temp) / (source.removesuffix(".c").replace("/", "-") + ".o")
        cc = [word for word in self.compiler.compiler_so if not word.startswith(("-O", "-g"))]
        depends = ["-MMD", "-MF", str(out.with_suffix(".d"))]
        return [*cc, *code_flags(), *flags, *depends, "-c", source, "-o", str(out)]

    def _compile(self, command: list[str]) -> bool:
        out = Path(command[-1])
        rules = out.with_suffix(".d")
        inputs = []
        if rules.exists():
            inputs = rules.read_text().replace("\\\n", " ").split(":", 1)[1].split()
        if not self._is_stale(out, command, inputs):
            return False
        self._run(out, command)
        return True

    def _link(self, ext: Extension, objects: list[str], libs: list[str]) -> None:
        out = Path(self.get_ext_fullpath(ext.name))
        out.parent.mkdir(parents=True, exist_ok=True)
        command = [*self.compiler.linker_so, *objects, *libs, *code_flags(), "-o", str(out)]
        if self._is_stale(out, command, objects):
            self._run(out, command)

    def _memo(self, out: Path) -> Path:
        return Path(self.build_temp, out.name + ".command")

    def _is_stale(self, out: Path, command: list[str], inputs: list[str]) -> bool:
        memo = self._memo(out)
        if not out.exists() or not memo.exists() or memo.read_text() != shlex.join(command):
            return True
        made = out.stat().st_mtime
        return any(not os.path.exists(i) or os.path.getmtime(i) > made for i in inputs)

    def _run(self, out: Path, command: list[str]) -> None:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if done.stdout.strip():
            print(done.stdout, flush=True)
        if done.returncode != 0:
            raise CompileError(shlex.join(command))
        self._memo(out).write_text(shlex.join(command))


class bdist_wheel(_bdist_wheel):  # noqa: N801
    """Adds the bill of materials to the wheel's metadata (PEP 770)."""

    def write_wheelfile(self, wheelfile_base: str, *args: Any, **kwargs: Any) -> None:
        super().write_wheelfile(wheelfile_base, *args, **kwargs)
        folder = Path(wheelfile_base, "sboms")
        folder.mkdir(exist_ok=True)
        version = self.distribution.get_version()
        (folder / "fastaio.cdx.json").write_text(thirdparty.sbom(version, bundled_names()))
