"""What intake promises about the bytes it is handed."""

import subprocess
import sys
import zlib
from io import BytesIO
from pathlib import Path
from struct import pack

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from ml.images import (
    ImageRefused,
    Limits,
    Refusal,
    decode,
    encode_jpeg,
    encode_png,
    encode_tiff,
    inspect,
    thumbnail,
)
from tests.ml.shared import BCCD, TALEQANI, needs_shared

HEIGHT, WIDTH = 80, 120


def picture(height=HEIGHT, width=WIDTH):
    """Smooth colours with one odd corner, so that a turned or mirrored copy shows."""
    rows, columns = np.mgrid[0:height, 0:width]
    rgb = np.stack((rows * 255 // height, columns * 255 // width, rows + columns), axis=2)
    rgb = (rgb % 256).astype(np.uint8)
    rgb[:20, :30] = (250, 20, 20)
    return rgb


def saved(image, kind, **options):
    out = BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def chunk(kind, body):
    return pack(">I", len(body)) + kind + body + pack(">I", zlib.crc32(kind + body))


def png(width, height, *middle, depth=8, colour=0, pixels=None):
    if pixels is None:
        pixels = zlib.compress(b"\0" * ((width * (3 if colour == 2 else 1) + 1) * height))
    header = chunk(b"IHDR", pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    tail = chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(middle) + tail


def tiff(*entries, following=0, tail=b""):
    directory = pack("<H", len(entries)) + b"".join(pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + pack("<I", 8) + directory + pack("<I", following) + tail


def refusal(data, **options):
    with pytest.raises(ImageRefused) as caught:
        inspect(data, **options)
    assert caught.value.message.endswith(".")
    assert str(caught.value) == caught.value.message
    with pytest.raises(ImageRefused):
        decode(data, **options)
    return caught.value.code


RGB = Image.fromarray(picture())
WHOLE = {
    "image/jpeg": saved(RGB, "JPEG"),
    "image/png": saved(RGB, "PNG"),
    "image/tiff": saved(RGB, "TIFF", compression="tiff_lzw"),
}
PROGRESSIVE = saved(RGB, "JPEG", progressive=True)


@pytest.mark.parametrize("media_type", WHOLE)
def test_a_picture_is_known_by_its_content(media_type):
    facts = inspect(WHOLE[media_type])
    assert (facts.media_type, facts.width, facts.height) == (media_type, WIDTH, HEIGHT)
    assert not facts.synthetic
    assert decode(WHOLE[media_type]).shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "not_an_image"),
        (b"Dear laboratory, BM is not a bitmap", "not_an_image"),
        (b"BMI of the patient: 23", "not_an_image"),
        (b"\x89PNG", "not_an_image"),
        (saved(RGB, "GIF"), "unsupported_type"),
        (saved(RGB, "BMP"), "unsupported_type"),
        (saved(RGB, "WEBP"), "unsupported_type"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "unsupported_type"),
        (b"\0" * 128 + b"DICM" + b"\0" * 40, "unsupported_type"),
        (b"%PDF-1.7 and so on", "unsupported_type"),
        (saved(RGB.convert("F"), "TIFF"), "unsupported_type"),
        (saved(RGB.resize((63, 200)), "PNG"), "too_small"),
        (png(0, 100), "zero_area"),
        (tiff((256, 3, 1, 0), (257, 3, 1, 100)), "zero_area"),
        (png(100, 100, colour=3), "corrupt"),  # names colours of a palette that is not there
        (tiff((256, 3, 1, 100)), "corrupt"),
        (tiff(), "corrupt"),
        (WHOLE["image/png"][:-12], "truncated"),
        (b"\xff\xd8\xff", "truncated"),
    ],
)
def test_each_refusal_has_a_stable_code_and_a_sentence(data, code):
    assert refusal(data) == code


def test_the_codes_are_those_that_are_stored():
    assert {code.value for code in Refusal} == {
        "not_an_image",
        "unsupported_type",
        "too_many_pixels",
        "truncated",
        "corrupt",
        "animated",
        "zero_area",
        "too_small",
    }


@pytest.mark.parametrize("kind", ["GIF", "PNG", "TIFF"])
def test_a_moving_or_many_paged_picture_is_refused(kind):
    second = RGB.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    data = saved(RGB, kind, save_all=True, append_images=[second])
    assert refusal(data) == ("unsupported_type" if kind == "GIF" else "animated")


BOMB_PROGRAM = """
import resource, sys, time
from ml.images import ImageRefused, inspect, decode
data = sys.stdin.buffer.read()
before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
for door in (inspect, decode):
    try:
        door(data)
    except ImageRefused as refused:
        print(refused.code, end=" ")
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(after - before, time.process_time() - start)
"""


def let_in(data):
    """Codes, kilobytes and seconds that a process of its own spends on the bytes."""
    ran = subprocess.run(
        [sys.executable, "-c", BOMB_PROGRAM],
        input=data,
        capture_output=True,
        check=True,
        cwd=Path(__file__).resolve().parents[2],
    )
    first, second, kilobytes, seconds = ran.stdout.split()
    return {first.decode(), second.decode()}, int(kilobytes), float(seconds)


def test_a_png_bomb_is_refused_before_it_is_decoded():
    side = 30_000
    packer = zlib.compressobj(9)
    row = b"\0" * (side // 8 + 1)
    pixels = b"".join(packer.compress(row * 100) for _ in range(side // 100)) + packer.flush()
    bomb = png(side, side, depth=1, pixels=pixels)
    assert len(bomb) < 1_000_000
    codes, kilobytes, seconds = let_in(bomb)
    assert codes == {"too_many_pixels"}
    assert kilobytes < 10_000, "decoding it takes 900 MB"
    assert seconds < 1


def test_the_pixel_limit_is_the_callers():
    assert refusal(WHOLE["image/jpeg"], limits=Limits(max_pixels=9_599)) == "too_many_pixels"
    assert inspect(WHOLE["image/jpeg"], limits=Limits(max_pixels=9_600)).width == WIDTH
    wide = png(200_000, 1_000, pixels=b"")
    assert refusal(wide, limits=Limits(max_pixels=10**12)) in ("too_many_pixels", "truncated")


def test_a_tiff_whose_tags_all_claim_the_whole_file_costs_nothing():
    """500 tags of 8 MB each would be 4 GB once copied out."""
    size = 8_000_000
    base = ((256, 3, 1, 100), (257, 3, 1, 100), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1))
    strip = ((273, 4, 1, 10_000), (277, 3, 1, 1), (278, 3, 1, 100), (279, 4, 1, 10_000))
    private = tuple((40_000 + n, 7, size, 10_000) for n in range(490))
    harmless = tiff(*base, *strip, *private, tail=b"\0" * (size + 20_000))
    program = BOMB_PROGRAM.replace("door(data)", "door(data); print('taken', end=' ')")
    ran = subprocess.run(
        [sys.executable, "-c", program],
        input=harmless,
        capture_output=True,
        check=True,
        cwd=Path(__file__).resolve().parents[2],
    )
    *codes, kilobytes, _ = ran.stdout.split()
    assert codes == [b"taken", b"taken"]
    assert int(kilobytes) < 60_000
    drawing = tuple((tag, 7, size, 10_000) for tag in (320, 324, 347))
    assert refusal(tiff(*base, *strip, *drawing, tail=b"\0" * (size + 20_000))) == "corrupt"


def test_a_directory_that_goes_on_for_ever_is_refused():
    endless = b"II*\0" + pack("<I", 8) + pack("<H", 65_535) + b"\0" * (12 * 65_535 + 4)
    assert refusal(endless) == "corrupt"
    ring = bytearray(WHOLE["image/tiff"])
    at = int.from_bytes(ring[4:8], "little")
    count = int.from_bytes(ring[at : at + 2], "little")
    ring[at + 2 + 12 * count : at + 6 + 12 * count] = pack("<I", at)
    assert refusal(bytes(ring)) == "animated"


def test_a_jpeg_of_a_thousand_scans_is_refused():
    start = PROGRESSIVE.rindex(b"\xff\xda")
    assert refusal(PROGRESSIVE[:-2] + PROGRESSIVE[start:-2] * 1_000 + b"\xff\xd9") == "corrupt"


def test_notes_that_unpack_to_gigabytes_are_not_unpacked():
    text = zlib.compress(b"\0" * 30_000_000)
    notes = (
        chunk(b"zTXt", b"Comment\0\0" + text),
        chunk(b"iTXt", b"Comment\0\1\0\0\0" + text),
        chunk(b"iCCP", b"profile\0\0" + text),
        chunk(b"eXIf", b"II*\0" + pack("<I", 8) + b"\xff\xff" + b"\xee" * 500_000),
    )
    assert inspect(png(100, 100, *notes)).width == 100


@pytest.mark.parametrize("media_type", WHOLE)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.97])
def test_a_picture_cut_short_is_refused(media_type, share):
    data = WHOLE[media_type]
    assert refusal(data[: max(12, int(len(data) * share))]) == "truncated"


def test_a_progressive_jpeg_cut_short_is_refused():
    assert inspect(PROGRESSIVE).width == WIDTH
    assert refusal(PROGRESSIVE[: len(PROGRESSIVE) // 2]) == "truncated"


def test_a_flipped_bit_in_a_png_is_found():
    data = bytearray(WHOLE["image/png"])
    data[len(data) // 2] ^= 1
    assert refusal(bytes(data)) == "corrupt"


def test_what_follows_the_end_of_a_jpeg_is_ignored():
    trailing = WHOLE["image/jpeg"] + b"camera vendor's own table" * 1000
    assert inspect(trailing) == inspect(WHOLE["image/jpeg"])
    assert (decode(trailing) == decode(WHOLE["image/jpeg"])).all()


def test_of_a_phones_double_jpeg_the_first_picture_counts():
    second = RGB.rotate(180)
    data = saved(RGB, "MPO", save_all=True, append_images=[second])
    assert inspect(data).media_type == "image/jpeg"
    assert np.abs(decode(data).astype(int) - picture()).mean() < 8


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_comes_out_upright(kind, orientation):
    turned = {
        1: picture(),
        2: picture()[:, ::-1],
        3: picture()[::-1, ::-1],
        4: picture()[::-1],
        5: picture().swapaxes(0, 1),
        6: picture().swapaxes(0, 1)[:, ::-1],
        7: picture().swapaxes(0, 1)[::-1, ::-1],
        8: picture().swapaxes(0, 1)[::-1],
    }[orientation]
    exif = Image.Exif()
    exif[274] = orientation
    options = {"tiffinfo": {274: orientation}} if kind == "TIFF" else {"exif": exif}
    data = saved(RGB, kind, **options)
    upright = decode(data)
    assert upright.shape == turned.shape
    assert np.abs(upright.astype(int) - turned).mean() < 8
    facts = inspect(data)
    assert (facts.height, facts.width) == upright.shape[:2]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_every_way_to_store_colours_becomes_rgb(kind, mode):
    if (kind, mode) == ("PNG", "CMYK"):
        kind = "JPEG"  # PNG has none
    stored = RGB.convert(mode)
    expected = np.asarray(stored.convert("RGB"))
    off = np.abs(decode(saved(stored, kind)).astype(int) - expected).mean()
    assert off < (8 if kind == "JPEG" else 0.001)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_scaled_and_not_clipped(kind):
    ramp = np.tile(np.linspace(0, 65_535, 100).astype(np.uint16), (100, 1))
    rgb = decode(saved(Image.fromarray(ramp), kind))
    assert np.abs(rgb[0, :, 0].astype(int) - np.linspace(0, 255, 100)).max() <= 1
    assert (rgb[..., 0] == rgb[..., 2]).all()


def test_transparency_lies_over_white_as_on_glass():
    see_through = np.dstack((picture(), np.full((HEIGHT, WIDTH), 255, np.uint8)))
    see_through[40:, :, 3] = 0
    rgb = decode(saved(Image.fromarray(see_through, "RGBA"), "PNG"))
    assert (rgb[40:] == 255).all()
    assert (rgb[:40] == picture()[:40]).all()


@pytest.mark.parametrize("encode", [encode_png, encode_jpeg, encode_tiff])
def test_the_synthetic_mark_travels_with_the_bytes(encode):
    assert inspect(encode(picture(), synthetic=True)).synthetic
    assert not inspect(encode(picture())).synthetic
    assert np.abs(decode(encode(picture(), synthetic=True)).astype(int) - picture()).mean() < 4


def test_the_mark_is_read_from_exif_too():
    exif = Image.Exif()
    exif[305] = "Leukolens synthetic smear"
    assert inspect(saved(RGB, "JPEG", exif=exif)).synthetic


def test_png_keeps_every_pixel():
    assert (decode(encode_png(picture())) == picture()).all()
    assert len(encode_jpeg(picture(), quality=50)) < len(encode_jpeg(picture(), quality=95))


def test_a_thumbnail_keeps_the_shape_and_is_never_enlarged():
    assert thumbnail(picture(), 60).shape == (40, 60, 3)
    assert thumbnail(picture(), 500).shape == (HEIGHT, WIDTH, 3)


def test_the_decoder_is_left_as_strict_as_it_was():
    from PIL import ImageFile

    pixels = Image.MAX_IMAGE_PIXELS
    inspect(WHOLE["image/jpeg"])
    assert pixels == Image.MAX_IMAGE_PIXELS
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


SEEDS = [*WHOLE.values(), PROGRESSIVE, encode_tiff(picture(), synthetic=True)]


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=0, max_size=6)), max_size=5),
    st.floats(0.0, 1.2),
)
def test_whatever_the_bytes_only_a_refusal_comes_out(data, changes, keep):
    spoilt = bytearray(data)
    for place, new in changes:
        # Half of the changes fall on the header, where the structure is.
        at = int(place * 2 * len(spoilt)) if place < 0.5 else int((place - 0.5) * 2 * 400)
        spoilt[at : at + len(new)] = new
    spoilt = bytes(spoilt[: int(len(spoilt) * keep) + 1])
    limits = Limits(max_pixels=4_000_000)
    try:
        facts = inspect(spoilt, limits=limits)
    except ImageRefused as refused:
        assert refused.code in set(Refusal)
    else:
        assert decode(spoilt, limits=limits).shape == (facts.height, facts.width, 3)


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from([b"", b"\xff\xd8\xff", b"II*\0", b"MM\0*", WHOLE["image/png"][:8]]), st.binary()
)
def test_noise_behind_a_true_beginning_is_refused(start, noise):
    with pytest.raises(ImageRefused):
        inspect(start + noise)


@needs_shared
def test_every_real_smear_gets_in():
    files = sorted(TALEQANI.glob("original/*/*.jpg"))[::25] + sorted(BCCD.glob("*.jpg"))[::20]
    assert len(files) > 100
    for file in files:
        data = file.read_bytes()
        facts = inspect(data)
        with Image.open(file) as plain:
            assert (facts.width, facts.height) == plain.size
            assert (decode(data) == np.asarray(plain.convert("RGB"))).all()
        assert refusal(data[: len(data) * 3 // 4]) == "truncated"
