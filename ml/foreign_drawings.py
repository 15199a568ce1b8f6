"""Foreign pictures that need no file: drawn from nothing, or made from a smear by spoiling it.

Drawings are no imitation of anything in particular; they are there so that the gate has seen
flat, busy, lettered, grey and purple things besides smears. Distortions are what a wrong
objective, a wrong file format or a careless upload would do to a real field.
"""

from collections.abc import Callable, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ml import synthetic
from ml.preprocessing import Picture

SIDE = 224
BLUR = 4.0  # pixels of a 224 px field: beyond reading, whatever the cell
FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_SCRIPT_COMPLEX,
)
PHRASES = (
    "the patient was seen",
    "on ward 7 and her",
    "blood count shows",
    "haemoglobin 13.4 g/dl",
    "platelets 210",
    "white cells in range",
    "no film made, please repeat",
    "signed, the doctor",
)

Random = np.random.Generator
Floats = NDArray[np.float32]


def noise(rng: Random) -> Picture:
    """Independent random bytes, blurred a little more or less."""
    raw = rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    blurred = cv2.GaussianBlur(raw, (0, 0), float(rng.uniform(0.3, 3.0)))
    return np.asarray(blurred, dtype=np.uint8)


def gradient(rng: Random) -> Picture:
    """A smooth passage between two colours with a few soft discs: a photograph's low notes."""
    ends = rng.uniform(0, 255, (2, 3))
    across = np.linspace(0, 1, SIDE)
    ramp = (
        np.outer(across, np.ones(SIDE)) * rng.random()
        + np.outer(np.ones(SIDE), across) * rng.random()
    )
    picture = (ends[0] + (ends[1] - ends[0]) * ramp[..., None] / 2).astype(np.uint8)
    for _ in range(int(rng.integers(3, 12))):
        centre = (int(rng.integers(0, SIDE)), int(rng.integers(0, SIDE)))
        colour = [float(value) for value in rng.integers(0, 256, 3)]
        cv2.circle(picture, centre, int(rng.integers(4, 50)), colour, -1, cv2.LINE_AA)
    return _bytes(cv2.GaussianBlur(picture, (0, 0), 1.2))


def drawn_smear(rng: Random) -> Picture:
    """One of this project's own drawn smears, which imitate the Taleqani fields."""
    return synthetic.smear(seed=int(rng.integers(0, 2**31)), size=int(rng.choice((SIDE, 320, 512))))


def page(rng: Random) -> Picture:
    """A scanned or photographed page of text: any ink and size, on paper, a little askew."""
    height, width = (int(side) for side in rng.integers(SIDE, 640, 2))
    paper = np.clip(rng.uniform(205, 255) + rng.normal(0, 6, 3), 0, 255)
    ink = tuple(int(value) for value in rng.integers(0, 140, 3))
    canvas = Image.new("RGB", (width, height), tuple(int(value) for value in paper))
    if rng.random() < 0.5:
        _print(canvas, rng, ink)
        lettered = np.asarray(canvas)
    else:
        lettered = _letter(np.array(canvas), rng, ink)
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), float(rng.normal(0, 3)), 1.0)
    askew = cv2.warpAffine(lettered, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return _scanned(askew.astype(np.float32), rng)


def screen(rng: Random) -> Picture:
    """A screenshot: windows, bars and lettering in flat colours."""
    height, width = int(rng.integers(240, 500)), int(rng.integers(320, 640))
    dark = rng.random() < 0.4
    canvas = np.full((height, width, 3), int(rng.integers(20, 60) if dark else 245), np.uint8)
    for _ in range(int(rng.integers(4, 14))):
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        colour = [float(value) for value in rng.integers(0, 256, 3)]
        corner = (x + int(rng.integers(20, 200)), y + int(rng.integers(8, 120)))
        cv2.rectangle(canvas, (x, y), corner, colour, -1 if rng.random() < 0.6 else 1)
    return _letter(canvas, rng, (230, 230, 230) if dark else (30, 30, 30), lines=8)


def tissue(rng: Random) -> Picture:
    """Something like stained tissue: purple nuclei crowded in a pink weave without glass."""
    weave = _clouds(rng, 3.0) * 0.5 + _clouds(rng, 12.0) * 0.5
    pale, deep = np.array((240, 205, 225)), rng.uniform((190, 80, 130), (230, 140, 190))
    canvas = (pale + (deep - pale) * weave[..., None]).astype(np.float32)
    purple = rng.uniform((70, 40, 110), (120, 90, 170))
    for _ in range(int(rng.integers(60, 320))):
        centre = tuple(int(value) for value in rng.integers(0, SIDE, 2))
        axes = tuple(int(value) for value in rng.integers(2, 9, 2))
        shade = [float(value) for value in purple * rng.uniform(0.8, 1.25)]
        cv2.ellipse(canvas, centre, axes, float(rng.uniform(0, 180)), 0, 360, shade, -1)
    return _scanned(canvas, rng)


def shadow(rng: Random) -> Picture:
    """Grey shapes glowing out of the dark: what X-rays, ultrasound and fluorescence share."""
    glow = sum(_clouds(rng, sigma) * weight for sigma, weight in ((4, 0.2), (16, 0.4), (40, 0.6)))
    field = np.asarray(glow, dtype=np.float32)
    for _ in range(int(rng.integers(1, 6))):
        spot = np.zeros((SIDE, SIDE), np.float32)
        centre = tuple(int(value) for value in rng.integers(0, SIDE, 2))
        axes = tuple(int(value) for value in rng.integers(10, 90, 2))
        cv2.ellipse(spot, centre, axes, float(rng.uniform(0, 180)), 0, 360, 1.0, -1)
        field += float(rng.normal(0, 0.5)) * cv2.GaussianBlur(
            spot, (0, 0), float(rng.uniform(1, 8))
        )
    spread = 255 * (field - field.min()) / max(float(np.ptp(field)), 1e-6)
    return _scanned(np.repeat(spread[..., None], 3, axis=2), rng)


DRAWINGS: Mapping[str, Callable[[Random], Picture]] = {
    "noise": noise,
    "gradients": gradient,
    "synthetic": drawn_smear,
    "pages": page,
    "screens": screen,
    "drawn_tissue": tissue,
    "shadows": shadow,
}


def magnified(rgb: Picture) -> Picture:
    """The middle quarter, twice as large: as through a stronger objective."""
    height, width = rgb.shape[:2]
    middle = rgb[height // 4 : height - height // 4, width // 4 : width - width // 4]
    return _bytes(cv2.resize(middle, (width, height), interpolation=cv2.INTER_CUBIC))


def shrunk(rgb: Picture) -> Picture:
    """The field, without its scale bar, and its mirror images at half the size: a weaker
    objective's wider view."""
    height, width = rgb.shape[:2]
    field = rgb[: round(height * 0.84), : round(width * 0.84)]
    down, across = field.shape[:2]
    wide = cv2.copyMakeBorder(field, 0, down, 0, across, cv2.BORDER_REFLECT)
    return _bytes(cv2.resize(wide, (width, height), interpolation=cv2.INTER_AREA))


def hue_turned(rgb: Picture) -> Picture:
    """Every hue turned by 90 degrees: violet becomes red, as no stain is."""
    return _turned(rgb, 45)


def hue_turned_back(rgb: Picture) -> Picture:
    """Every hue turned by -90 degrees: violet becomes green."""
    return _turned(rgb, -45)


def swapped(rgb: Picture) -> Picture:
    """Red and blue exchanged: the classic slip between file formats."""
    return np.ascontiguousarray(rgb[..., ::-1])


def inverted(rgb: Picture) -> Picture:
    """The photographic negative."""
    return 255 - rgb


def blurred(rgb: Picture) -> Picture:
    """Far out of focus."""
    return _bytes(cv2.GaussianBlur(rgb, (0, 0), BLUR * max(rgb.shape[:2]) / SIDE))


def grey(rgb: Picture) -> Picture:
    """Without colour."""
    return _bytes(np.repeat(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2))


DISTORTIONS: Mapping[str, Callable[[Picture], Picture]] = {
    "magnified": magnified,
    "shrunk": shrunk,
    "hue_turned": hue_turned,
    "hue_turned_back": hue_turned_back,
    "red_blue_swapped": swapped,
    "inverted": inverted,
    "blurred": blurred,
    "grey": grey,
}


def collage(left: Picture, right: Picture) -> Picture:
    """Two fields squeezed side by side into the first one's size."""
    height, width = left.shape[:2]
    parts = (width // 2, left), (width - width // 2, right)
    halves = [
        cv2.resize(field, (side, height), interpolation=cv2.INTER_AREA) for side, field in parts
    ]
    return np.ascontiguousarray(np.hstack(halves))


def _turned(rgb: Picture, half_degrees: int) -> Picture:
    hsv = cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0].astype(np.int16) + half_degrees) % 180
    return _bytes(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB))


def _print(canvas: Image.Image, rng: Random, ink: tuple[int, ...]) -> None:
    """Lines in Pillow's own printing face."""
    size = int(rng.integers(9, 60))
    pen, face = ImageDraw.Draw(canvas), ImageFont.load_default(size)
    for top in range(int(rng.integers(-9, 9)), canvas.height, int(size * rng.uniform(1.1, 1.9))):
        pen.text((int(rng.integers(-9, 20)), top), _words(rng), fill=ink, font=face)


def _letter(canvas: Picture, rng: Random, ink: tuple[int, ...], lines: int = 99) -> Picture:
    """Lines in one of OpenCV's pen-drawn faces."""
    face, size = FONTS[int(rng.integers(len(FONTS)))], float(rng.uniform(0.35, 2.0))
    step = int(size * rng.uniform(26, 44))
    for line in range(min(lines, canvas.shape[0] // step + 1)):
        place = (int(rng.integers(-9, 60)), (line + 1) * step)
        cv2.putText(
            canvas, _words(rng), place, face, size, ink, max(1, round(size * 1.4)), cv2.LINE_AA
        )
    return canvas


def _words(rng: Random) -> str:
    return " ".join(rng.choice(PHRASES, 5))


def _clouds(rng: Random, sigma: float) -> Floats:
    """(224, 224) smooth random field, 0..1."""
    rough = cv2.GaussianBlur(rng.normal(size=(SIDE, SIDE)).astype(np.float32), (0, 0), sigma)
    return np.asarray((rough - rough.min()) / max(float(np.ptp(rough)), 1e-6), dtype=np.float32)


def _scanned(picture: NDArray[np.floating], rng: Random) -> Picture:
    """With the softness and the grain that every lens and sensor adds."""
    soft = cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.3, 1.5)))
    return _bytes(np.clip(soft + rng.normal(0, rng.uniform(0, 6), soft.shape), 0, 255))


def _bytes(picture: NDArray[np.generic]) -> Picture:
    return np.ascontiguousarray(picture.astype(np.uint8, copy=False))
