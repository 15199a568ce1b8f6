"""docs/dicom.md names every code that DICOM's doors give, and what is taken."""

import re
from pathlib import Path

from diagnostics.dicom import objects, refusals, search

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "dicom.md").read_text()
SOURCES = [
    *(ROOT / "diagnostics" / "dicom").glob("*.py"),
    *(ROOT / "diagnostics" / "api" / "dicom").glob("*.py"),
    ROOT / "diagnostics" / "services" / "dicom.py",
]


def test_every_code_is_explained() -> None:
    raised = set()
    for source in SOURCES:
        raised |= set(re.findall(r'\bcode(?:: str)? ?= ?"(\w+)"', source.read_text()))
    assert len(raised) > 15
    assert {code for code in raised if f"`{code}`" not in PAGE} == set()


def test_every_status_is_explained() -> None:
    statuses = [v for k, v in vars(refusals).items() if k.isupper() and isinstance(v, int)]
    assert len(statuses) == 8
    for status in statuses:
        assert f"| `{status:04X}` |" in PAGE


def test_what_is_taken_is_named() -> None:
    assert all(str(uid).rpartition(".77.")[2] in PAGE for uid in objects.SOP_CLASSES)
    assert len(objects.TRANSFER_SYNTAXES) == 5
    assert all(keyword in PAGE for keyword in search.LEVELS["study"][-2:-1])
    for keyword in ("StudyInstanceUID", "AccessionNumber", "PatientID", "StudyDate"):
        assert keyword in PAGE
