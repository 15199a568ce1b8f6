"""The families of classifiers in the paper's Table 6 that can read the same features.

One setting each, fixed beforehand and the same under every way of judging: nothing is tuned on
what is judged. Every classifier answers with (n, 4) shares that sum to 1. Those of the support
vector machines are a soft maximum of their margins: right for telling classes apart, not
calibrated.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ml.classes import CLASSES

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]
Seen = Literal["fused", "vgg16", "densenet121", "colour", "pictures"]
Classify = Callable[[Any, Ints, Any, int], Floats]
"""Taught on (n, W) with (n,) targets, asked about (m, W), with a seed: (m, 4)."""

SOURCES = (Path(__file__), Path(__file__).parents[1] / "ladder.py")
"""What decides an answer besides the features: where these change, old answers are not used."""

NEIGHBOURS = 5
COMPONENTS = 64
TREES = 500


class UnknownFamily(Exception):
    """No classifier has this name; the message lists those that there are."""


@dataclass(frozen=True, slots=True)
class Family:
    """A line of the leaderboard. `slow` ones take minutes a fold and can be left out."""

    key: str
    title: str
    sees: Seen
    classify: Classify
    table_6: str = ""  # who used its like, and with what accuracy on their own pictures
    slow: bool = False


def logistic(taught: Floats, targets: Ints, asked: Floats, seed: int) -> Floats:
    """Multinomial logistic regression on standardised features: the floor."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    model = LogisticRegression(C=0.01, max_iter=500, class_weight="balanced", random_state=seed)
    return _scaled(model, taught, targets, asked)


def support_vectors(taught: Floats, targets: Ints, asked: Floats, seed: int) -> Floats:
    """Support vector machine with an RBF kernel."""
    return _scaled(_svm(seed), taught, targets, asked)


def pca_support_vectors(taught: Floats, targets: Ints, asked: Floats, seed: int) -> Floats:
    """The same on the first principal components, each of variance 1."""
    from sklearn.decomposition import PCA  # noqa: PLC0415

    most = min(COMPONENTS, *taught.shape)
    return _scaled([PCA(most, whiten=True, random_state=seed), _svm(seed)], taught, targets, asked)


def neighbours(taught: Floats, targets: Ints, asked: Floats, seed: int) -> Floats:
    """The nearest pictures by Euclidean distance, the nearer counting more."""
    from sklearn.neighbors import KNeighborsClassifier  # noqa: PLC0415

    count = min(NEIGHBOURS, len(taught))
    return _scaled(KNeighborsClassifier(count, weights="distance"), taught, targets, asked)


def forest(taught: Floats, targets: Ints, asked: Floats, seed: int) -> Floats:
    """Random forest."""
    from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415

    model = RandomForestClassifier(TREES, class_weight="balanced", random_state=seed)
    return _scaled(model, taught, targets, asked)


def boosting(taught: Floats, targets: Ints, asked: Floats, seed: int) -> Floats:
    """Gradient boosting of small trees on coarsely binned features, so that it takes no hour."""
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415

    model = HistGradientBoostingClassifier(
        max_bins=31,
        max_leaf_nodes=8,
        max_features=0.1,
        class_weight="balanced",
        early_stopping=False,
        random_state=seed,
    )
    return _scaled(model, taught, targets, asked)


def dense_head(taught: Floats, targets: Ints, asked: Floats, seed: int) -> Floats:
    """Table 3's dense ladder by the shipped model's plan, but on unchanged pictures alone."""
    from ml import ladder  # noqa: PLC0415 - Keras

    shares = 1 / np.bincount(targets, minlength=len(CLASSES))[targets]
    head, _ = ladder.train(
        taught.astype(np.float32),
        targets,
        shares / shares.sum(),
        plan=ladder.LadderPlan(seed=seed),
        report=lambda *_: None,
    )
    return np.asarray(head.predict(asked, verbose=0))


def small_cnn(
    taught: NDArray[np.uint8],
    targets: Ints,
    asked: NDArray[np.uint8],
    seed: int,
    *,
    epochs: int = 10,
) -> Floats:
    """Four convolutions taught from nothing on (n, 128, 128, 3) uint8 pictures, turned over."""
    import keras  # noqa: PLC0415

    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    layers: list[Any] = [keras.Input((128, 128, 3)), keras.layers.Rescaling(1 / 127.5, offset=-1)]
    layers.append(keras.layers.RandomFlip())
    for width in (16, 32, 64, 128):
        layers.append(keras.layers.Conv2D(width, 3, strides=2, padding="same", use_bias=False))
        layers += [keras.layers.BatchNormalization(momentum=0.9), keras.layers.ReLU()]
    layers += [keras.layers.GlobalAveragePooling2D(), keras.layers.Dropout(0.2)]
    layers.append(keras.layers.Dense(len(CLASSES), activation="softmax"))
    model = keras.Sequential(layers)
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
    model.fit(taught, targets, batch_size=32, epochs=epochs, verbose=0)
    return np.asarray(model.predict(asked, verbose=0))


FAMILIES: tuple[Family, ...] = (
    Family("logistic", "Logistic regression, both trunks (the floor)", "fused", logistic),
    Family("svm", "SVM, RBF kernel", "fused", support_vectors, "Vogado 99.20, Dese 97.69"),
    Family("pca-svm", "PCA, then SVM", "fused", pca_support_vectors, "Saleem 99.70"),
    Family("neighbours", "k nearest neighbours", "fused", neighbours, "Saleem 99.70"),
    Family("forest", "Random forest", "fused", forest, "Ahmed 98.8"),
    Family("boosting", "Gradient boosting", "fused", boosting, "Ahmed 98.8"),
    Family("head", "Dense head of Table 3", "fused", dense_head, "Islam 99.89"),
    Family("vgg16", "Logistic regression, VGG16 alone", "vgg16", logistic),
    Family("densenet121", "Logistic regression, DenseNet-121 alone", "densenet121", logistic),
    Family("colour", "Logistic regression, colour histogram alone", "colour", logistic),
    Family("cnn", "Small CNN from nothing", "pictures", small_cnn, "Rehman 97.78", slow=True),
)


def chosen(keys: Sequence[str] | None = None, *, slow: bool = True) -> list[Family]:
    """The families of these names, or all; slow ones, if not named, only where asked for.

    Raises `UnknownFamily`.
    """
    known = {family.key: family for family in FAMILIES}
    strangers = set(keys or ()) - set(known)
    if strangers:
        names = ", ".join(known)
        raise UnknownFamily(f"no classifier is called {min(strangers)}; there are {names}")
    if keys:
        return [known[key] for key in keys]
    return [family for family in FAMILIES if slow or not family.slow]


def _svm(seed: int) -> Any:
    from sklearn.svm import SVC  # noqa: PLC0415

    return SVC(C=10, gamma="scale", class_weight="balanced", random_state=seed)


def _scaled(model: Any, taught: Floats, targets: Ints, asked: Floats) -> Floats:
    """Standardise, teach, ask; a class that was not taught gets 0."""
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    steps = model if isinstance(model, list) else [model]
    made = make_pipeline(StandardScaler(), *steps).fit(taught, targets)
    if hasattr(made, "predict_proba"):
        said = made.predict_proba(asked)
    else:
        said = soft(made.decision_function(asked))
    every = np.zeros((len(asked), len(CLASSES)))
    every[:, made.classes_] = said
    return every


def soft(margins: Floats) -> Floats:
    """(n, classes) margins to shares; of two classes scikit-learn gives (n,), the second's."""
    if margins.ndim == 1:
        margins = np.stack([-margins, margins], axis=1) / 2
    raised = np.exp(margins - margins.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))
