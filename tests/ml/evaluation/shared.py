"""Answers small enough to follow by hand, and a set shaped like the real one."""

import numpy as np

from ml.classes import CLASSES
from ml.evaluation import Answers


def by_hand():
    """Two slides a class; benign has one picture in ten called malignant, and the reverse."""
    targets = np.repeat(np.arange(4), 20)
    said = targets.copy()
    said[[0, 10]] = 1  # benign called early pre-B
    said[[20, 21, 22]] = [0, 0, 2]  # early pre-B: two called benign, one called pre-B
    groups = np.array([f"{t}-{i // 10 % 2}" for i, t in enumerate(targets)])
    return Answers(np.eye(4)[said], targets, groups)


def drawn(slides=(13, 15, 12, 6), size=20, *, seed=0, skill=3.0):
    """Random answers, some slides harder than others."""
    rng = np.random.default_rng(seed)
    targets = np.repeat(np.arange(len(CLASSES)), np.multiply(slides, size))
    groups = np.repeat([f"g{number:02d}" for number in range(sum(slides))], size)
    ease = np.repeat(skill - rng.gamma(0.5, 1.5, sum(slides)), size)
    logits = rng.normal(0, 1, (len(targets), len(CLASSES)))
    logits[np.arange(len(targets)), targets] += ease
    grown = np.exp(logits)
    return Answers(grown / grown.sum(axis=1, keepdims=True), targets, groups)


def without(answers, position):
    """The same without one class."""
    left = answers.targets != position
    return Answers(answers.probabilities[left], answers.targets[left], answers.groups[left])
