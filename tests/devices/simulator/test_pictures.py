"""What lies under the simulated lens."""

import sys

import pytest

from devices.simulator.pictures import NoPictures, draw_smears, pictures_in, with_note
from ml.images import decode, encode_jpeg, encode_png, encode_tiff, inspect
from ml.synthetic import smear


@pytest.mark.parametrize("encode", [encode_jpeg, encode_png, encode_tiff])
def test_a_note_makes_other_bytes_of_the_same_picture(encode):
    body = encode(smear(seed=1, size=64), synthetic=True)

    noted = [with_note(body, f"scope-{number}") for number in range(3)]

    assert len({body, *noted}) == 4
    for one in noted:
        # The hospital takes it, and still knows that it was drawn.
        assert inspect(one) == inspect(body)
        assert inspect(one).synthetic
        assert (decode(one) == decode(body)).all()


def test_smears_are_drawn_once_each_unlike_the_others(tmp_path):
    draw_smears(tmp_path, count=3, seed=1)
    [first, *_] = drawn = pictures_in(tmp_path)
    before = first.stat().st_mtime_ns

    draw_smears(tmp_path, count=8, seed=1)

    assert len(drawn) == 3
    assert len({path.read_bytes() for path in pictures_in(tmp_path)}) == 8
    # Among them an original, for what is too large to go in one piece.
    [original] = tmp_path.glob("*.png")
    assert original.stat().st_size > 250_000
    assert first.stat().st_mtime_ns == before


def test_without_the_part_that_draws_it_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ml.synthetic", None)
    monkeypatch.delattr("ml.synthetic", raising=False)
    with pytest.raises(NoPictures, match="folder of pictures"):
        draw_smears(tmp_path, count=1, seed=1)
