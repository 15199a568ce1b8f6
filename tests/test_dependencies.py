"""What others wrote is what was chosen, may be used, and is told to whoever audits."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests import dependencies


def test_locks_hashes_and_licences_are_in_order() -> None:
    assert list(dependencies.check()) == []


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda text: text.replace("django==", "django==0", 1), "django"),
        (lambda text: text + "left-pad==1.0 \\\n    --hash=sha256:00\n", "left-pad"),
        (lambda text: text + "left-pad==1.0\n", "left-pad has no SHA-256"),
        (lambda text: "--index-url https://mirror.example\n" + text, "names an address"),
    ],
)
def test_a_lock_that_was_tampered_with_is_noticed(
    tmp_path: Path, monkeypatch: Any, spoil: Any, said: str
) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text(spoil(dependencies.RUNTIME.read_text()))
    monkeypatch.setattr(dependencies, "RUNTIME", lock)
    assert any(said in word for word in dependencies.check())


@pytest.mark.parametrize("licence", ["GPL-3.0-or-later", "AGPL-3.0", "", "Proprietary"])
def test_a_licence_that_is_not_allowed_is_noticed(monkeypatch: Any, licence: str) -> None:
    monkeypatch.setattr(dependencies, "licence_of", lambda name: licence)
    assert any(word.startswith("django: its licence") for word in dependencies.check())


def test_without_a_way_to_the_service_nobody_is_told_that_all_is_well(
    monkeypatch: Any, capsys: Any
) -> None:
    monkeypatch.setattr(dependencies, "SERVICE", "http://127.0.0.1:9")
    assert dependencies.audit() == 2
    assert "NOT AUDITED" in capsys.readouterr().out


def test_the_bill_of_materials_names_every_package_with_version_hash_and_licence(
    tmp_path: Path,
) -> None:
    path = tmp_path / "sbom.json"
    dependencies.sbom(path)
    bill = json.loads(path.read_text())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    locked = {n: p for n, p in dependencies.pins(dependencies.RUNTIME).items() if p.wanted}
    told = {component["name"]: component for component in bill["components"]}
    assert told.keys() == locked.keys()
    for name, component in told.items():
        assert component["version"] == locked[name].version
        assert component["purl"].startswith(f"pkg:pypi/{name}@")
        hashes = [h["content"] for e in component["externalReferences"] for h in e["hashes"]]
        assert {f"sha256:{one}" for one in hashes} == set(locked[name].hashes)
        assert component["licenses"][0]["license"]["name"]
