"""Every contract bites: a violation planted in a copy of the code is named."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ["hospital", "patients", "devices", "diagnostics", "ml"]
LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"

VIOLATIONS = [
    ("The floors of the house", "hospital/accounts/services.py", "import patients.models"),
    ("The floors of the house", "patients/services.py", "import diagnostics.models"),
    ("The floors of the house", "patients/services.py", "import devices.models"),
    ("The floors of the house", "devices/services/keys.py", "import patients.models"),
    ("The floors of the house", "diagnostics/services/intake.py", "import hospital.config.urls"),
    ("The floors of the house", "hospital/live/services.py", "import hospital.audit.services"),
    ("The floors of the house", "hospital/base/files.py", "import hospital.accounts.models"),
    ("The model knows no hospital", "ml/images.py", "import django.conf"),
    ("The model knows no hospital", "ml/reading.py", "import diagnostics.models"),
    ("Only diagnostics knows the model", "devices/services/keys.py", "import ml.images"),
    ("Only diagnostics knows the model", "hospital/config/urls.py", "import ml.classes"),
    (
        "Diagnostics knows the model by its door only",
        "diagnostics/pipeline.py",
        "import ml.engines.openvino",
    ),
    (
        "Nothing on the web's side imports TensorFlow or OpenVINO",
        "diagnostics/selectors.py",
        "def later():\n    import tensorflow",
    ),
    (
        "Nothing on the web's side imports TensorFlow or OpenVINO",
        "ml/images.py",
        "def later():\n    import keras",
    ),
    (
        "Nothing on the web's side imports TensorFlow or OpenVINO",
        "ml/images.py",
        "import ml.engines.quiet",
    ),
    (
        "OpenVINO comes in by the quiet door",
        "ml/engines/graph.py",
        "import openvino",
    ),
    (
        "The microscope's client runs where there is no hospital",
        "devices/agent/client.py",
        "import django.conf",
    ),
]


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    copy = tmp_path_factory.mktemp("house")
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package,
            copy / package,
            ignore=lambda folder, names: [
                name
                for name in names
                if name == "__pycache__"
                or (Path(folder, name).is_file() and not name.endswith(".py"))
            ],
        )
    shutil.copy(ROOT / "pyproject.toml", copy)
    return copy


def lint(house):
    finished = subprocess.run(
        [sys.executable, "-c", LINT], cwd=house, capture_output=True, text=True, check=False
    )
    return finished.returncode, finished.stdout


def test_the_code_as_it_is_keeps_every_contract(house):
    code, said = lint(house)
    assert code == 0, said


@pytest.mark.parametrize(("contract", "file", "line"), VIOLATIONS)
def test_a_violation_is_noticed(house, contract, file, line):
    path = house / file
    original = path.read_text()
    try:
        path.write_text(f"{original}\n{line}\n")
        code, said = lint(house)
    finally:
        path.write_text(original)
    assert code != 0
    assert f"{contract} BROKEN" in said
