"""The agent by itself: what it needs, what is in its wheel, and that it runs without a hospital."""

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

DEVICES = Path(__file__).resolve().parents[3] / "devices"
PROJECT = tomllib.loads((DEVICES / "pyproject.toml").read_text())
WITHOUT = "django", "tensorflow", "hospital", "diagnostics", "devices", "ml"


@pytest.fixture
def alone(tmp_path):
    """The package as it is installed: these two folders under another name, and nothing else."""
    package = tmp_path / "leukolens_devices"
    package.mkdir()
    shutil.copy(DEVICES / "__init__.py", package)
    for part in ("agent", "simulator"):
        if (DEVICES / part).is_dir():
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(DEVICES / part, package / part, ignore=ignore)
    return tmp_path


def run(command, cwd):
    return subprocess.run(
        command, cwd=cwd, check=False, capture_output=True, text=True, timeout=120
    )


def test_it_runs_where_there_is_no_hospital(alone):
    program = (
        "import sys, runpy; sys.argv = ['leukolens-agent', '--help']\n"
        "try: runpy.run_module('leukolens_devices.agent', run_name='__main__')\n"
        f"finally: print([n for n in {WITHOUT} if n in sys.modules], file=sys.stderr)"
    )
    done = run([sys.executable, "-c", program], alone)
    assert done.returncode == 0, done.stderr
    assert "enrol" in done.stdout
    assert done.stderr.strip().endswith("[]"), done.stderr


def test_it_needs_little():
    needed = {line.split(">")[0].split("=")[0] for line in PROJECT["project"]["dependencies"]}
    assert needed == {"httpx", "numpy", "pillow", "rich", "typer", "zxing-cpp"}


def test_its_commands_are_named():
    assert PROJECT["project"]["scripts"] == {
        "leukolens-agent": "leukolens_devices.agent.cli:main",
        "leukolens-simulator": "leukolens_devices.simulator.cli:main",
    }


def test_its_wheel_holds_the_two_packages_and_nothing_else(tmp_path):
    pytest.importorskip("hatchling", reason="building needs hatchling, which is not here")
    program = f"from hatchling.build import build_wheel; print(build_wheel({str(tmp_path)!r}))"
    # -P: there is a selectors.py here, and the standard library has one.
    done = run([sys.executable, "-P", "-c", program], DEVICES)
    assert done.returncode == 0, done.stderr
    names = zipfile.ZipFile(tmp_path / done.stdout.split()[-1]).namelist()
    parts = {"/".join(name.split("/")[:2]) for name in names if ".dist-info" not in name}
    assert parts <= {
        "leukolens_devices/__init__.py",
        "leukolens_devices/agent",
        "leukolens_devices/simulator",
    }
    assert "leukolens_devices/agent/cli.py" in names
