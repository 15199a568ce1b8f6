"""What the paper says it did, and what it says came of it (Islam et al., Sensors 2024, 24, 4420).

Facts only: the recipe of sections 3.3 to 4.1 as one named configuration, and the rows of Tables 4
and 5 with their figures.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ml.augmentation import TABLE_2, Ranges

Trunk = Literal["vgg16", "densenet121", "resnet50", "mobilenet"]
Input = Literal["original", "segmented"]
View = tuple[Trunk, Input]
"""One half of the features: which trunk looks at which of the two pictures."""

TRUNKS: Mapping[Trunk, str] = {
    "vgg16": "VGG16",
    "densenet121": "DenseNet-121",
    "resnet50": "ResNet50",
    "mobilenet": "MobileNet",
}
NOT_AT_HAND = "weights not at hand"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the paper trained; the defaults are the paper's.

    Trunks frozen with ImageNet's weights, pictures as RGB 0..1, the head of Table 3, Adam on
    sparse categorical cross-entropy; the last epoch's weights are judged. The paper changes every
    picture anew in every epoch. A frozen trunk's features are computed once here, so each epoch
    draws, for every picture, one of the plain one and `copies` changed ones.
    """

    name: str = "paper"
    scale: Literal["unit", "caffe"] = "unit"  # 3.3: pixels between 0 and 1
    augmentation: Ranges = TABLE_2
    copies: int = 1
    epochs: int = 50  # 3.6
    batch: int = 32  # 3.6
    rate: float = 1e-3  # 3.6, Adam
    level: bool = False
    """Not the paper's: every feature to mean 0, deviation 1 over what is taught. Its recipe counts
    on two trunks that speak equally loud, as ImageNet's do. The trunk that was taught here on
    galleries says 80 times as much of a twin on black as VGG16 says of the field (means 3.6 and
    0.1, up to 70), and a fusion of the two then hears nothing else."""

    def __post_init__(self) -> None:
        """Raise `ValueError` for what cannot be trained."""
        if self.copies < 0 or min(self.epochs, self.batch) < 1:
            raise ValueError("a recipe needs at least one epoch, one picture a batch, no copy less")


PAPER = Recipe()
LEVELLED = Recipe(name="paper-levelled", level=True)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table: what is fed, and what was published, in per cent (None: not stated).

    One view for a solo trunk on one picture, two for everything else.
    """

    key: str
    table: Literal[4, 5]
    model: str
    fed: str
    views: tuple[View, ...]
    published: Mapping[str, float]


def _solo(trunk: Trunk, fed: str, **published: float) -> Row:
    views: dict[str, tuple[View, ...]] = {
        "original": ((trunk, "original"),),
        "segmented": ((trunk, "segmented"),),
        "both": ((trunk, "original"), (trunk, "segmented")),
    }
    return Row(f"{trunk}-{fed}", 5, TRUNKS[trunk], fed, views[fed], published)


def _fusion(fed: str, views: tuple[View, View], **published: float) -> Row:
    return Row(f"fusion-{fed}", 5, "Fusion (proposed)", fed, views, published)


def _pair(other: Trunk, **published: float) -> Row:
    """Table 4 does not say which trunk looks at which picture: as in the proposed model."""
    views: tuple[View, View] = ((other, "original"), ("densenet121", "segmented"))
    return Row(
        f"{other}-densenet121", 4, f"DenseNet-121 + {TRUNKS[other]}", "both", views, published
    )


# Accuracies are those of the text of 4.7; the paper gives none for DenseNet-121 on one picture.
ROWS: tuple[Row, ...] = (
    _solo("vgg16", "original", accuracy=96.62, precision=96.69, recall=96.23, f1=96.45),
    _solo("vgg16", "segmented", accuracy=95.38, precision=95.15, recall=94.95, f1=94.97),
    _solo("vgg16", "both", accuracy=98.95, precision=97.86, recall=96.99, f1=97.38),
    _solo("densenet121", "original", precision=97.54, recall=97.53, f1=97.5),
    _solo("densenet121", "segmented", precision=96.62, recall=96.61, f1=96.43),
    _solo("densenet121", "both", accuracy=99.08, precision=99.1, recall=99.09, f1=99.09),
    _fusion(
        "original",
        (("vgg16", "original"), ("densenet121", "original")),
        accuracy=98.46,
        precision=98.6,
        recall=98.4,
        f1=98.48,
    ),
    _fusion(
        "segmented",
        (("vgg16", "segmented"), ("densenet121", "segmented")),
        accuracy=97.85,
        precision=97.86,
        recall=97.84,
        f1=97.82,
    ),
    _fusion(
        "both",
        (("vgg16", "original"), ("densenet121", "segmented")),
        accuracy=99.89,
        precision=99.803,
        recall=99.72,
        f1=99.76,
        specificity=99.72,  # Table 4
    ),
    _pair("resnet50", accuracy=98.9, recall=99.2, precision=97.8, specificity=94.7),
    _pair("mobilenet", accuracy=99.2, recall=98.8, precision=98.6, specificity=97.4),
)
