"""The command: what it takes, what it prints, how it ends."""

import json

import pytest
from typer.testing import CliRunner

from devices.simulator.cli import app
from tests.devices.simulator.hospital import hospital


def invoke(*arguments, **environment):
    return CliRunner().invoke(app, list(map(str, arguments)), env=environment or None)


@pytest.fixture
def folder(tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(3):
        (pictures / f"{number}.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes([number]) * 99)
    return pictures


def test_a_folder_of_pictures_is_sent_once_each(tmp_path, folder):
    written = tmp_path / "ledger.json"
    with hospital() as there:
        done = invoke(
            folder, "--url", there.url, "--accession", "A-1", "--ledger", written,
            LEUKOLENS_DEVICE_KEY="llk_a",
        )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert {accession for _, accession in there.pictures.values()} == {"A-1"}
    told = json.loads(written.read_text())
    assert (told["taken"], told["reported"], told["lost"], told["double"]) == (3, 3, 0, 0)
    assert "llk_a" not in done.output + written.read_text()


def test_a_lost_picture_ends_it_with_1_and_the_evidence_stays(tmp_path, folder):
    keep = tmp_path / "kept"
    with hospital("forgets") as there:
        done = invoke(
            folder, "--url", there.url, "--key", "k", "--accession", "A-1", "--keep", keep
        )
    assert done.exit_code == 1
    assert "lost" in done.output
    assert (keep / "microscope-1" / "taken.jsonl").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--accession", "A"], "no microscope"),
        (["--key", "k"], "no accession"),
        (["--key", "k", "--accession", "A", "--fault", "meteor=1"], "no fault"),
        (["--key", "k", "--accession", "A", "--fault", "slow=often"], "often"),
        (["nowhere", "--key", "k", "--accession", "A"], "no folder nowhere"),
        (["--config", "nowhere.toml"], "nowhere.toml"),
    ],
)
def test_what_cannot_be_done_is_said_and_ends_with_2(monkeypatch, tmp_path, arguments, words):
    monkeypatch.delenv("LEUKOLENS_DEVICE_KEY", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    done = invoke(*arguments)
    assert done.exit_code == 2
    assert words in done.output
    assert "Traceback" not in done.output
    assert list(tmp_path.iterdir()) == []
