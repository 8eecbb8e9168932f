"""setuptools commands: a parallel build_ext that compiles only what changed, wheels with an SBOM.

Every set of switches, and every Python, has object folders of its own below build/, so that going
back and forth between them compiles nothing again.
"""

from __future__ import annotations

import hashlib
import sysconfig
from pathlib import Path
from typing import Any

from setuptools import Extension
from setuptools.command.bdist_wheel import bdist_wheel as _bdist_wheel
from setuptools.command.build_ext import build_ext as _build_ext
from setuptools.errors import CompileError

from . import thirdparty
from .incremental import Step, StepError, run_stale
from .libraries import LLHTTP, Library, bundled_names, libraries, uses_system
from .switches import code_flags, flag, jobs

WARNINGS = """
    -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition
    -Wpointer-arith -Wcast-qual -Wundef -Wvla -Wformat=2 -Wno-cast-function-type
    -Wno-unused-parameter
""".split()

# The parser may take llhttp.c into its own translation unit (`__has_include("llhttp.c")`), which
# lets the compiler inline the callbacks. The system's llhttp has no such file.
LLHTTP_SOURCE = [] if uses_system("llhttp") else ["-isystem", f"{LLHTTP}/src"]


def own_flags(parts: list[Library]) -> list[str]:
    """What fastaio's own files are compiled with, beside the flags of every file."""
    flags = ["-std=c11", "-D_GNU_SOURCE", *WARNINGS, "-Icsrc"]
    flags += ["-isystem", sysconfig.get_path("include")]
    flags += [word for part in parts for word in part.public]
    return flags + (["-Werror"] if flag("FASTAIO_WERROR") else [])


class build_ext(_build_ext):  # noqa: N801 (the name setuptools knows the command by)
    """Compiles in parallel, and only what changed: sources, the headers they read, the command."""

    def run(self) -> None:
        # Asked here, for setuptools' run() turns `inplace` off while it works.
        self.to_ship = not (self.inplace or getattr(self, "editable_mode", False))
        super().run()

    def build_extension(self, ext: Extension) -> None:
        thirdparty.ensure(bundled_names())
        parts = libraries()
        generation = code_flags(optimise_across_files=self.to_ship)
        compilations = self._compilations(ext.sources, parts, generation)
        libs = [word for part in parts for word in part.ldflags]
        link = self._link([str(step.output) for step in compilations], [*libs, *generation])
        try:
            compiled = run_stale(compilations, jobs())
            run_stale([link], 1)
        except StepError as error:
            raise CompileError(str(error)) from None
        print(f"fastaio: {compiled} of {len(compilations)} files compiled", flush=True)
        target = self.get_ext_fullpath(ext.name)
        self.mkpath(str(Path(target).parent))
        self.copy_file(str(link.output), target)

    def _compilations(
        self, sources: list[str], parts: list[Library], generation: list[str]
    ) -> list[Step]:
        own = [*generation, *own_flags(parts)]
        steps = []
        for source in sources:
            extra = LLHTTP_SOURCE if source.startswith("csrc/http/parser") else []
            steps.append(self._compilation(source, [*own, *extra]))
        for part in parts:
            flags = [*generation, "-std=gnu11", *part.cflags]
            steps += [self._compilation(source, flags) for source in part.sources]
        return steps

    def _folder(self, command: list[str]) -> Path:
        """The object folder of this Python and this way to call the compiler."""
        python = sysconfig.get_config_var("EXT_SUFFIX").removesuffix(".so").strip(".")
        return Path("build", f"{python}-{hashlib.sha256(repr(command).encode()).hexdigest()[:8]}")

    def _compilation(self, source: str, flags: list[str]) -> Step:
        # Python's own levels of optimisation and debugging give way to ours.
        compiler = [word for word in self.compiler.compiler_so if not word.startswith(("-O", "-g"))]
        command = [*compiler, *flags]
        stem = source.removesuffix(".c").replace("/", "-")
        output = self._folder(command) / f"{stem}.o"
        rules = output.with_suffix(".d")
        command += ["-MD", "-MF", str(rules), "-c", source, "-o", str(output)]
        return Step(tuple(command), output, rules=rules)

    def _link(self, objects: list[str], flags: list[str]) -> Step:
        command = [*self.compiler.linker_so, *objects, *flags]
        output = self._folder(command) / "_core.so"
        return Step((*command, "-o", str(output)), output, inputs=tuple(objects))


class bdist_wheel(_bdist_wheel):  # noqa: N801
    """Adds the bill of materials to the wheel's metadata (PEP 770)."""

    def write_wheelfile(self, wheelfile_base: str, *args: Any, **kwargs: Any) -> None:
        super().write_wheelfile(wheelfile_base, *args, **kwargs)
        folder = Path(wheelfile_base, "sboms")
        folder.mkdir(exist_ok=True)
        version = self.distribution.get_version()
        (folder / "fastaio.cdx.json").write_text(thirdparty.sbom(version, bundled_names()))
