"""A Kaggle-layout folder of drawn smears, with known slides, copies and overlaps in it."""

import cv2
import numpy as np

from ml.synthetic import smear, write

SIDE = 224
CLASSES = ("Benign", "Early", "Pre", "Pro")


def field(seed, stain=0, side=SIDE):
    return smear(seed=seed, size=side, stain=stain, blasts=5, red_cells=70)


def draw(root, slides=2, fields=3, marks=("", "", "", "")):
    """`slides` a class, of `fields` pictures each; a slide has its own tint and its own cells.

    File names count on through a class, as an export's do; `marks` are the scale bars of the
    classes. Returns the slide of each file.
    """
    home = {}
    for c, folder in enumerate(CLASSES):
        for kind in ("Original", "Segmented"):
            (root / kind / folder).mkdir(parents=True)
        for number in range(slides * fields):
            slide = number // fields
            rgb = marked(tinted(field(1000 * c + number, stain=c % 3), slide), marks[c])
            path = root / "Original" / folder / f"WBC-{folder}-{number + 1}.png"
            write(path, rgb)
            home[path.name] = f"{folder}-{slide}"
    return home


def tinted(rgb, slide):
    """Another lamp for each slide: yellow, then blue."""
    gain = ((1.0, 1.0, 0.86), (0.86, 0.95, 1.0), (1.0, 0.85, 0.95))[slide % 3]
    return np.clip(rgb * np.array(gain), 0, 255).astype(np.uint8)


def shifted(seed, rows, columns, stain=0):
    """Two fields of one slide: the second begins `rows` down and `columns` right in the first."""
    wide = smear(seed=seed, size=SIDE + max(rows, columns), stain=stain, blasts=6, red_cells=110)
    return wide[:SIDE, :SIDE], wide[rows : rows + SIDE, columns : columns + SIDE]


def marked(rgb, look):
    """With a scale bar like the Taleqani set's burnt in."""
    out = rgb.copy()
    if look == "large black":
        out[194:, 190:] = 255
        cv2.putText(out, "200", (194, 212), cv2.FONT_HERSHEY_PLAIN, 1.0, (0, 0, 0), 1)
        out[215:217, 194:] = 0
    elif look == "small black":
        out[207:217, 195:222] = 255
        out[211:213, 204:212] = 0
    elif look == "small red":
        out[211:213, 198:210] = (200, 40, 60)
    return out
