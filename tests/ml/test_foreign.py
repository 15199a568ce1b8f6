"""Foreign pictures are many, different, and never the same for learning and for judging."""

import hashlib

import cv2
import numpy as np
import pytest

from ml import foreign, synthetic
from ml.classes import Class
from ml.data import Example
from ml.foreign import Half, kinds
from ml.foreign_drawings import DISTORTIONS, DRAWINGS, collage
from ml.quality import judge


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(foreign, "COUNT", 3)


@pytest.fixture
def smears(tmp_path):
    """Two pictures of each of three slides."""
    made = []
    for number in range(6):
        path = synthetic.write(tmp_path / f"{number}.png", synthetic.smear(seed=number, size=224))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        made.append(Example(path, Class.BENIGN, f"g{number // 2}", "s0", digest))
    return made


def digests(makers):
    return {make().tobytes() for make in makers}


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_drawing_is_a_picture_and_its_seed_draws_it_again(name):
    draw = DRAWINGS[name]
    rgb = draw(np.random.default_rng(1))
    assert (rgb.ndim, rgb.shape[2], rgb.dtype) == (3, 3, np.uint8)
    assert rgb.std() > 1
    np.testing.assert_array_equal(rgb, draw(np.random.default_rng(1)))
    assert not np.array_equal(rgb[:224, :224], draw(np.random.default_rng(2))[:224, :224])


@pytest.mark.parametrize("name", DISTORTIONS)
def test_a_distorted_field_keeps_its_size_and_not_its_looks(name):
    field = synthetic.smear(seed=3, size=224)
    spoilt = DISTORTIONS[name](field)
    assert (spoilt.shape, spoilt.dtype) == (field.shape, np.uint8)
    assert np.abs(spoilt.astype(int) - field).mean() > 3


def test_a_collage_shows_both_fields():
    left, right = (np.full((224, 224, 3), value, np.uint8) for value in (10, 200))
    both = collage(left, right)
    assert both.shape == left.shape
    assert (both[:, 0] == 10).all()
    assert (both[:, -1] == 200).all()


def test_no_drawing_is_both_learned_from_and_judged_on(few):
    fit, judged = kinds(Half.FIT), kinds(Half.JUDGE)
    assert fit.keys() == judged.keys() == DRAWINGS.keys()
    for name, makers in fit.items():
        assert not digests(makers) & digests(judged[name]), name


def test_files_are_shared_out_between_learning_and_judging(few, tmp_path):
    for place in ("laboratory", "others/x_rays"):
        (tmp_path / place).mkdir(parents=True)
        for number in range(5):
            grey = np.full((80, 96, 3), 40 * number, np.uint8)
            cv2.imwrite(str(tmp_path / place / f"{number}.png"), grey)
    (tmp_path / "others" / "notes.txt").write_text("not a kind")
    where = {"laboratory": tmp_path / "laboratory", "others": tmp_path / "others"}
    fit, judged = kinds(Half.FIT, **where), kinds(Half.JUDGE, **where)
    for name in ("other_laboratory", "x_rays"):
        assert (len(fit[name]), len(judged[name])) == (3, 2)
        assert not digests(fit[name]) & digests(judged[name])
    assert "notes.txt" not in fit


def test_a_large_file_is_shrunk_to_what_a_microscope_would_send(few, tmp_path):
    cv2.imwrite(str(tmp_path / "large.png"), np.zeros((700, 1400, 3), np.uint8))
    (maker,) = kinds(Half.FIT, laboratory=tmp_path)["other_laboratory"]
    assert maker().shape == (320, 640, 3)


def test_smears_are_distorted_in_every_way_only_where_they_are_given(few, smears):
    assert not DISTORTIONS.keys() & kinds(Half.FIT).keys()
    chosen = foreign.one_a_slide(smears)
    assert [example.group for example in chosen] == ["g0", "g1", "g2"]
    found = kinds(Half.FIT, smears=chosen)
    assert all(len(found[name]) == 3 for name in [*DISTORTIONS, "collage"])


@pytest.mark.parametrize("name", ["screens", "shadows"])
def test_the_quality_gate_alone_refuses_what_is_nothing_like_a_smear(name):
    drawn = [DRAWINGS[name](np.random.default_rng([4, i])) for i in range(10)]
    assert all(judge(rgb).code for rgb in drawn)
