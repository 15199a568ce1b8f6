"""A package is what it was made to be, to the byte, or it is not loaded."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from ml import card, packages
from ml.cli import app
from ml.packages import COMMITTED, MANIFEST, PackageTampered, pack8, pack16, unpack, verify

RNG = np.random.default_rng(0)


@pytest.fixture
def folder(tmp_path):
    packages.write(
        tmp_path / "p",
        description={"name": "tiny", "version": "7"},
        tensors={"vgg16.safetensors": pack8({"a/kernel": RNG.normal(size=(3, 3, 4, 5))})},
        documents={"MODEL_CARD.md": "a card\n"},
    )
    return tmp_path / "p"


def test_a_package_says_who_it_is(folder):
    package = verify(folder)
    assert (package.name, package.version, len(package.digest)) == ("tiny", "7", 64)


@pytest.mark.parametrize("file", ["vgg16.safetensors", "MODEL_CARD.md", MANIFEST])
def test_one_changed_byte_is_refused_naming_the_file(folder, file):
    data = bytearray((folder / file).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / file).write_bytes(data)
    with pytest.raises(PackageTampered) as caught:
        verify(folder)
    assert caught.value.file == file


@pytest.mark.parametrize("file", ["vgg16.safetensors", "MODEL_CARD.md", MANIFEST])
def test_a_missing_file_is_refused_naming_it(folder, file):
    (folder / file).unlink()
    with pytest.raises(PackageTampered, match=file):
        verify(folder)


def test_a_manifest_rewritten_by_hand_is_refused(folder):
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["version"] = "8"
    (folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(PackageTampered, match=MANIFEST):
        verify(folder)


def test_a_file_swapped_after_verification_is_still_not_read(folder):
    package = verify(folder)
    (folder / "vgg16.safetensors").write_bytes(b"other weights")
    with pytest.raises(PackageTampered, match="vgg16"):
        package.tensors("vgg16.safetensors")


def test_a_file_outside_the_folder_cannot_be_asked_for(folder):
    with pytest.raises(PackageTampered):
        verify(folder).tensors("../secret")


def test_the_digest_covers_every_file_and_no_layout(folder, tmp_path):
    package = verify(folder)
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(manifest, sort_keys=True))
    assert verify(folder).digest == package.digest
    other = packages.write(
        tmp_path / "q",
        description={"name": "tiny", "version": "7"},
        tensors={"vgg16.safetensors": pack8({"a/kernel": RNG.normal(size=(3, 3, 4, 5))})},
        documents={"MODEL_CARD.md": "a card\n"},
    )
    assert other.digest != package.digest


def test_eight_bits_are_within_half_a_step_of_each_channels_largest_weight():
    kernel = RNG.normal(size=(3, 3, 16, 8)) * np.geomspace(0.01, 10, 8)
    back = unpack(pack8({"k": kernel}))["k"]
    step = np.abs(kernel).max(axis=(0, 1, 2)) / 127
    assert (np.abs(back - kernel).max(axis=(0, 1, 2)) <= 0.5001 * step).all()


def test_biases_are_kept_as_they_are_and_a_dead_channel_stays_dead():
    kernel = np.zeros((3, 3, 2, 2))
    back = unpack(pack8({"k": kernel, "bias": np.array([0.1, 0.2], np.float32)}))
    assert not back["k"].any()
    np.testing.assert_array_equal(back["bias"], np.array([0.1, 0.2], np.float32))


def test_a_transposed_tensor_comes_back_as_it_was(tmp_path):
    components = RNG.normal(size=(4, 6)).T
    package = packages.write(
        tmp_path,
        description={"name": "tiny", "version": "7"},
        tensors={"gate.safetensors": pack16({"components": components})},
        documents={},
    )
    back = package.tensors("gate.safetensors")["components"]
    np.testing.assert_allclose(back, components, atol=2e-3)


def test_float16_refuses_what_it_cannot_hold():
    with pytest.raises(ValueError, match="float16"):
        pack16({"k": np.array([1e6])})


def test_the_committed_package_is_intact_and_small():
    package = verify(COMMITTED)
    assert package.name == "leukolens-fusion"
    assert sum(path.stat().st_size for path in COMMITTED.iterdir()) < 25_000_000


def test_the_committed_card_says_what_the_committed_figures_say():
    package = verify(COMMITTED)
    figures = json.loads(package.document("figures.json"))
    written = package.document("MODEL_CARD.md")
    for protocol in card.PROTOCOLS:
        for name, row in figures[protocol]["headline"].items():
            for number in row.values():
                assert number is None or card._number(name, number) in written
    assert "not a diagnosis" in written and "CC BY 4.0" in written


def test_the_committed_figures_are_of_slides_and_sittings_left_out_and_say_which_leak():
    figures = json.loads(verify(COMMITTED).document("figures.json"))
    assert set(card.PROTOCOLS) <= set(figures)
    assert figures["slides"]["pictures"] == 2778 and figures["slides"]["groups"] == 42
    assert (
        figures["pictures"]["headline"]["accuracy"]["value"]
        > (figures["sittings"]["headline"]["accuracy"]["value"])
    )


def test_the_command_line_verifies_and_fails_loudly(folder):
    run = CliRunner()
    assert run.invoke(app, ["package", "verify", str(folder)]).exit_code == 0
    (folder / "MODEL_CARD.md").write_text("another card\n")
    refused = run.invoke(app, ["package", "verify", str(folder)])
    assert refused.exit_code == 1 and "MODEL_CARD.md" in refused.output
