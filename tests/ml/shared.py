"""Where the real smears are, for tests that need them."""

import os
from pathlib import Path

import pytest

SHARED = Path(
    os.environ.get("LEUKOLENS_SHARED", Path(__file__).resolve().parents[2].parent / "shared")
)
TALEQANI = SHARED / "data" / "taleqani"
BCCD = SHARED / "data" / "bccd"
VGG16 = SHARED / "weights" / "vgg16_imagenet_notop.weights.h5"


def needs_shared(test):
    """Marks a test `shared`; skips it, saying so, only where the folder is missing."""
    missing = pytest.mark.skipif(
        not SHARED.is_dir(),
        reason=f"NOT TESTED: the real smears are missing ({SHARED}); set LEUKOLENS_SHARED",
    )
    return pytest.mark.shared(missing(test))
