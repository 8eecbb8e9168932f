"""Brings the pinned, hash-checked C sources (libuv, llhttp) into third_party/.

    python -m tools.thirdparty            fetch what is missing
    python -m tools.thirdparty notice     print the NOTICE text made from their licences
    python -m tools.thirdparty sbom       print the bill of materials (CycloneDX)

Sources are looked for in this order: a third_party/ folder that matches third_party.lock, the
third_party/ folder of a released source archive, the folder FASTAIO_SDIST_DIR, and `pip download`.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "third_party.lock"
DEST = ROOT / "third_party"

#: Settings of the pip that runs this build which must not reach the download of sources.
PIP_SETTINGS_LEFT_OUT = (
    "PIP_BUILD_CONSTRAINT",
    "PIP_BUILD_TRACKER",
    "PIP_CONSTRAINT",
    "PIP_NO_BINARY",
    "PIP_ONLY_BINARY",
    "PIP_PREFIX",
    "PIP_REQUIRE_VIRTUALENV",
    "PIP_REQ_TRACKER",
    "PIP_TARGET",
    "PIP_USER",
)


@dataclass(frozen=True)
class Bundle:
    """One library: what it is, and which part of which archive it is taken from."""

    name: str
    version: str
    licence: str
    folder: str
    globs: tuple[str, ...]
    project: str
    project_version: str
    sha256: str
    requirement: str

    @property
    def archive(self) -> str:
        return f"{self.project}-{self.project_version}.tar.gz"

    @property
    def path(self) -> Path:
        return DEST / self.name

    @property
    def stamp(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def is_present(self) -> bool:
        stamp = self.path / ".stamp"
        return stamp.is_file() and stamp.read_text() == self.stamp


def read_lock(text: str) -> Iterator[Bundle]:
    """The bundles that the text of third_party.lock names."""
    head: list[str] = []
    for line in text.splitlines():
        found = re.fullmatch(r"(\S+)==(\S+)\s+--hash=sha256:([0-9a-f]{64})\s*", line)
        if line.startswith("# bundle: "):
            head = line.removeprefix("# bundle: ").split()
        elif head and found:
            name, version, licence, folder, *globs = head
            yield Bundle(name, version, licence, folder, tuple(globs), *found.groups(), line)
            head = []


def bundles(names: Iterable[str] | None = None) -> list[Bundle]:
    wanted = None if names is None else set(names)
    return [b for b in read_lock(LOCK.read_text()) if wanted is None or b.name in wanted]


def check_hash(path: Path, sha256: str) -> None:
    """SystemExit when the file is not the one the lock names; it is not opened as an archive."""
    got = hashlib.sha256(path.read_bytes()).hexdigest()
    if got != sha256:
        sys.exit(f"fastaio: {path.name} has sha256 {got}, {LOCK.name} wants {sha256}")


def _download(bundle: Bundle, folder: Path) -> Path:
    requirements = folder / "requirements.txt"
    requirements.write_text(bundle.requirement + "\n")
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
    command += ["--no-deps", "--no-binary", ":all:", "--no-build-isolation"]
    command += ["--ignore-requires-python", "--require-hashes", "--retries", "5"]
    command += ["--dest", str(folder), "-r", str(requirements)]
    env = {k: v for k, v in os.environ.items() if k not in PIP_SETTINGS_LEFT_OUT}
    done = subprocess.run(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode != 0:
        sys.exit(
            f"{done.stdout}\nfastaio: the sources of {bundle.name} {bundle.version} could not be "
            f"fetched. Without a network, put {bundle.archive} into a folder and set "
            f"FASTAIO_SDIST_DIR to it, or build against the system's library with "
            f"FASTAIO_USE_SYSTEM_{bundle.name.upper()}=1."
        )
    return folder / bundle.archive


def _archive_of(bundle: Bundle, folder: Path) -> Path:
    given = os.environ.get("FASTAIO_SDIST_DIR")
    path = Path(given) / bundle.archive if given else _download(bundle, folder)
    if not path.is_file():
        sys.exit(f"fastaio: {path} is not there (FASTAIO_SDIST_DIR)")
    check_hash(path, bundle.sha256)
    return path


def wanted_path(bundle: Bundle, member: str) -> str | None:
    """Where an archive's member goes below the bundle's folder; None: it is not taken."""
    top, _, rest = member.partition("/")
    want_top, _, want = bundle.folder.partition("/")
    if ".." in PurePosixPath(member).parts or not fnmatch.fnmatch(top, want_top):
        return None
    if not rest.startswith(want + "/"):
        return None
    rest = rest.removeprefix(want + "/")
    return rest if any(fnmatch.fnmatch(rest, glob) for glob in bundle.globs) else None


def _unpack(bundle: Bundle, archive: Path, dest: Path) -> None:
    with tarfile.open(archive) as tar:
        for member in tar:
            rest = wanted_path(bundle, member.name) if member.isfile() else None
            data = tar.extractfile(member) if rest else None
            if rest is None or data is None:
                continue
            out = dest / rest
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_bytes(data.read())
    (dest / ".stamp").write_text(bundle.stamp)


def fetch(bundle: Bundle) -> None:
    """Has the bundle's sources in third_party/, or ends the program with what to do."""
    if bundle.is_present():
        return
    if (ROOT / "PKG-INFO").exists() and bundle.path.is_dir():
        return  # a released source archive brings them along
    DEST.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=DEST, prefix=".tmp-") as tmp:
        part = Path(tmp, "unpacked")
        _unpack(bundle, _archive_of(bundle, Path(tmp)), part)
        shutil.rmtree(bundle.path, ignore_errors=True)
        os.replace(part, bundle.path)
    print(f"fastaio: {bundle.name} {bundle.version} fetched ({bundle.archive})", flush=True)


def ensure(names: Iterable[str]) -> None:
    for bundle in bundles(names):
        fetch(bundle)


def notice(names: Iterable[str] | None = None) -> str:
    """The licences of what the binary carries, as one text."""
    parts = ["fastaio's wheels and source archives carry parts of the software below.\n"]
    for bundle in bundles(names):
        for path in sorted(bundle.path.glob("LICENSE*")):
            rule = "=" * 80
            title = f"{bundle.name} {bundle.version} ({path.name})"
            parts.append(f"{rule}\n{title}\n{rule}\n{path.read_text().strip()}\n")
    return "\n".join(parts)


def _component(bundle: Bundle) -> dict[str, object]:
    ancestor = {
        "type": "library",
        "name": bundle.project,
        "version": bundle.project_version,
        "purl": f"pkg:pypi/{bundle.project}@{bundle.project_version}",
        "hashes": [{"alg": "SHA-256", "content": bundle.sha256}],
    }
    return {
        "type": "library",
        "name": bundle.name,
        "version": bundle.version,
        "bom-ref": bundle.name,
        "purl": f"pkg:generic/{bundle.name}@{bundle.version}",
        "licenses": [{"license": {"id": bundle.licence}}],
        "pedigree": {"ancestors": [ancestor]},
    }


def sbom(version: str, names: Iterable[str] | None = None) -> str:
    """The bill of materials of fastaio `version` (CycloneDX 1.6, JSON; PEP 770)."""
    parts = bundles(names)
    purl = f"pkg:pypi/fastaio@{version}"
    own = {"type": "library", "name": "fastaio", "version": version, "purl": purl}
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {**own, "bom-ref": "fastaio"}},
        "components": [_component(b) for b in parts],
        "dependencies": [{"ref": "fastaio", "dependsOn": [b.name for b in parts]}],
    }
    return json.dumps(document, indent=1) + "\n"


def main(arguments: list[str]) -> None:
    everything = [b.name for b in bundles()]
    ensure(everything)
    if arguments == ["notice"]:
        print(notice(), end="")
    elif arguments == ["sbom"]:
        print(sbom("0"), end="")


if __name__ == "__main__":
    main(sys.argv[1:])
