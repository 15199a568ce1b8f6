"""The trunks that the paper's rows need, from wherever their weights can be had.

Which weights stand behind a row decides what the row is worth, so every trunk carries its origin
in words, and the tables print it.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import keras
import numpy as np

from ml import fusion, packages, preprocessing
from ml.experiments.paper import TRUNKS, Recipe, Trunk
from ml.features import Trunks

IMAGENET = "imagenet"


class TrunkUnusable(Exception):
    """The weights that were given do not make this trunk; the message says what was expected."""


@dataclass(frozen=True, slots=True)
class Frozen:
    """A pooled trunk, (N, 128, 128, 3) RGB 0..1 to (N, 512), and where its weights come from."""

    model: keras.Model
    origin: str

    def fingerprint(self) -> str:
        """Changes with any weight."""
        known = hashlib.sha256()
        for weight in self.model.weights:
            known.update(np.ascontiguousarray(weight.numpy()).tobytes())
        return known.hexdigest()[:16]


def load(trunk: Trunk, source: str | None, recipe: Recipe) -> Frozen | None:
    """The trunk, or None where `source` is None or nothing can be downloaded.

    `source`: "imagenet" (downloaded by keras.applications), a weights file of keras.applications'
    layout without the top, for DenseNet-121 also a taught trunk (`ml.trunk`, a `.keras` file) or
    a model package's folder. Raises `TrunkUnusable` for a file that is none of these.
    """
    if source is None:
        return None
    build = _builders()[trunk]
    if source == IMAGENET:
        try:
            return Frozen(fusion.pool(build(IMAGENET, scale=recipe.scale)), "ImageNet")
        except Exception:  # Keras raises a bare one where there is no internet
            return None
    path = Path(source)
    if not path.exists():
        raise TrunkUnusable(f"{source} is not there: give a path or '{IMAGENET}'")
    try:
        if trunk == "densenet121" and path.is_dir():
            return _of_package(path)
        if trunk == "densenet121" and path.suffix == ".keras":
            taught = keras.models.load_model(path)
            return Frozen(
                fusion.pool(taught), "taught by VGG16 without labels, no ImageNet weights"
            )
        return Frozen(fusion.pool(build(path, scale=recipe.scale)), f"ImageNet ({path.name})")
    except (ValueError, OSError, KeyError) as error:
        raise TrunkUnusable(
            f"{path.name} does not hold {TRUNKS[trunk]} as keras.applications saves it without "
            f"the top: {error}"
        ) from error


def _of_package(folder: Path) -> Frozen:
    package = packages.verify(folder)
    model = fusion.densenet121(scale=package.manifest["preprocessing"]["scale_segmented"])
    fusion.set_weights(model, package.tensors("densenet121.safetensors"))
    given = package.manifest["training"]["densenet121"]
    taught = "" if isinstance(given, str) else ", taught without ImageNet weights"
    return Frozen(fusion.pool(model), f"package {package.name} {package.version}{taught}")


@cache
def _builders() -> Mapping[Trunk, Callable[..., keras.Model]]:
    """Table 4 does not say where the others were cut: here too, where 512 channels come out."""
    others = keras.applications
    return {
        "vgg16": fusion.vgg16,
        "densenet121": fusion.densenet121,
        "resnet50": partial(_cut, others.ResNet50, "conv3_block4_out"),
        "mobilenet": partial(_cut, others.MobileNet, "conv_pw_11_relu"),
    }


def _cut(
    application: Callable[..., keras.Model],
    layer: str,
    weights: fusion.Weights,
    *,
    scale: fusion.Scale,
) -> keras.Model:
    assert scale == "unit", "only the paper's scale is known for these trunks"
    base = application(
        weights=None if weights is None else str(weights),
        include_top=False,
        input_shape=fusion.INPUT,
    )
    return keras.Model(base.input, base.get_layer(layer).output, name=base.name)


def shipped(package: packages.Package) -> Trunks:
    """Both trunks of a package behind their pooling, with the weights that it ships.

    Raises `TrunkUnusable` when the package was made for pictures prepared otherwise.
    """
    if package.preprocessing != preprocessing.VERSION:
        raise TrunkUnusable(
            f"{package.name} {package.version} was trained behind {package.preprocessing}, this "
            f"program has {preprocessing.VERSION}: its features would mean nothing"
        )
    scales = package.manifest["preprocessing"]
    original = fusion.vgg16(scale=scales["scale_original"])
    segmented = fusion.densenet121(scale=scales["scale_segmented"])
    fusion.set_weights(original, package.tensors("vgg16.safetensors"))
    fusion.set_weights(segmented, package.tensors("densenet121.safetensors"))
    return Trunks(fusion.pool(original), fusion.pool(segmented))
