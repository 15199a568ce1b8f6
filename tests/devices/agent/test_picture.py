"""The look before a picture is taken: what is broken is seen at once, the rest is measured."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageFilter

from devices.agent.picture import Limits, Unusable, look_at
from ml import quality
from ml.synthetic import smear
from tests.world import jpeg


def encoded(rgb, kind="PNG"):
    buffer = BytesIO()
    Image.fromarray(rgb).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_a_whole_picture_passes(kind):
    rgb = np.array(Image.open(BytesIO(jpeg(1))))
    assert look_at(encoded(rgb, kind)).grey.shape == (224, 224)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_a_picture_cut_short_is_seen(kind, share):
    body = encoded(np.array(Image.open(BytesIO(jpeg(1)))), kind)
    with pytest.raises(Unusable) as caught:
        look_at(body[: int(len(body) * share)])
    assert caught.value.code in {"truncated", "corrupt"}
    assert kind != "JPEG" or caught.value.code == "truncated"


@pytest.mark.parametrize("body", [b"hello", b"GIF89a", b"%PDF-1.7"])
def test_what_is_no_picture_is_seen(body):
    with pytest.raises(Unusable) as caught:
        look_at(body)
    assert caught.value.code == "not_an_image"


def test_broken_bytes_are_seen():
    with pytest.raises(Unusable):
        look_at(b"\x89PNG\r\n\x1a\n" + b"\x00" * 100)


@pytest.fixture(scope="module")
def good():
    """A drawn smear of 448 pixels, (H, W, 3)."""
    return smear(seed=3, size=448)


def spoilt(rgb, *, light=1.0, blur=0.0):
    picture = Image.fromarray(np.clip(rgb * light, 0, 255).astype(np.uint8))
    return encoded(np.array(picture.filter(ImageFilter.GaussianBlur(blur))))


@pytest.mark.parametrize("change", [{}, {"blur": 4}, {"light": 0.5}, {"light": 1.6}])
def test_it_measures_what_the_hospital_measures(good, change):
    body = spoilt(good, **change)
    ours, theirs = look_at(body), quality.measure(np.array(Image.open(BytesIO(body))))
    assert ours.focus == pytest.approx(theirs.focus, rel=0.02)
    assert ours.brightness == pytest.approx(theirs.brightness, abs=1.0)
    assert ours.clipped == pytest.approx(theirs.clipped, abs=0.02)


def test_its_limits_are_the_hospitals():
    assert Limits() == Limits(quality.MIN_FOCUS, quality.MIN_BRIGHTNESS, quality.MAX_CLIPPED)


@pytest.mark.parametrize(
    ("change", "faults"),
    [
        ({}, []),
        ({"blur": 8}, ["out_of_focus"]),
        ({"light": 0.4}, ["too_dark"]),
    ],
)
def test_what_is_not_good_enough_is_named(good, change, faults):
    assert look_at(spoilt(good, **change)).faults(Limits()) == faults


def test_the_hospital_may_ask_for_more_or_for_nothing(good):
    look = look_at(spoilt(good))
    assert look.faults(Limits.told({"minimum_focus": 9.0})) == ["out_of_focus"]
    assert look.faults(Limits.told({"minimum_focus": None, "keep_days": 3})) == []
    anything = {"minimum_focus": 0, "minimum_brightness": 0, "maximum_clipped": 1}
    assert look_at(encoded(np.zeros((64, 64, 3), np.uint8))).faults(Limits.told(anything)) == []


@pytest.mark.parametrize("size", [(1, 1), (64, 3), (5000, 70)])
def test_pictures_of_odd_shapes_are_measured_all_the_same(size):
    look = look_at(encoded(np.full((size[1], size[0], 3), 200, np.uint8)))
    assert look.brightness == 200
