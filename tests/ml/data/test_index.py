"""A folder of smears is read whatever its spelling, and a wrong one is refused in words."""

import hashlib

import pytest

from ml.classes import CLASSES, Class
from ml.data import DataUnreadable, class_of, read_index
from tests.ml.shared import TALEQANI, needs_shared


def a_folder(tmp_path, data=b"jpeg", written=b"jpeg"):
    (tmp_path / "original" / "Pro").mkdir(parents=True)
    (tmp_path / "original" / "Pro" / "a.jpg").write_bytes(written)
    row = f"a.jpg,Pro,g1,s1,{hashlib.sha256(data).hexdigest()}"
    (tmp_path / "groups.csv").write_text(f"file,class,group,session,sha256\n{row}\n")
    return tmp_path


def test_the_index_names_class_slide_and_file(tmp_path):
    (example,) = read_index(a_folder(tmp_path))
    assert (example.label, example.group, example.read()) == (Class.PRO_B, "g1", b"jpeg")


def test_a_picture_that_is_not_the_one_in_the_index_is_refused(tmp_path):
    (example,) = read_index(a_folder(tmp_path, written=b"other"))
    with pytest.raises(DataUnreadable, match=r"a\.jpg"):
        example.read()


def test_a_wrong_folder_is_refused_in_words(tmp_path):
    with pytest.raises(DataUnreadable, match=r"groups\.csv"):
        read_index(tmp_path)
    (a_folder(tmp_path) / "original" / "Pro" / "a.jpg").unlink()
    with pytest.raises(DataUnreadable, match=r"a\.jpg"):
        read_index(tmp_path)


@pytest.mark.parametrize(
    ("folder", "label"),
    [
        ("Benign", Class.BENIGN),
        ("EARLY", Class.EARLY_PRE_B),
        ("pre", Class.PRE_B),
        ("Pro", Class.PRO_B),
        ("[Malignant] Pre-B", Class.PRE_B),
        ("[Malignant] early Pre-B", Class.EARLY_PRE_B),
        ("[Malignant] Pro-B", Class.PRO_B),
        ("Hematogone", Class.BENIGN),
        ("Progress notes", None),
        ("original", None),
    ],
)
def test_a_class_is_known_by_its_folder_in_every_spelling(folder, label):
    assert class_of(folder) is label


def kaggle(tmp_path, names=("Benign", "Early", "Pre", "Pro")):
    """The Kaggle layout, one file each, with a twin for all but the last class."""
    for name in names:
        for kind in ("Original", "Segmented"):
            (tmp_path / kind / name).mkdir(parents=True)
            if kind == "Original" or name != names[-1]:
                (tmp_path / kind / name / "WBC-1.jpg").write_bytes(f"{kind} {name}".encode())
    return tmp_path


def test_kaggles_layout_takes_its_slides_from_a_csv_that_lies_elsewhere(tmp_path):
    root = kaggle(tmp_path / "all")
    index = tmp_path / "mine.csv"
    index.write_text("file,class,group\nWBC-1.jpg,Pro,a\nWBC-1.jpg,Benign,b\n")
    pro, benign = read_index(root, index)
    assert (pro.label, pro.group, pro.session) == (Class.PRO_B, "a", "a")
    assert pro.segmented is None
    assert benign.segmented.read_bytes() == b"Segmented Benign"
    assert benign.read() == b"Original Benign"  # the digest was taken from the file


def test_two_folders_for_one_class_are_refused(tmp_path):
    with pytest.raises(DataUnreadable, match="keep one"):
        read_index(kaggle(tmp_path, ("Pre", "[Malignant] Pre-B")))


def test_a_csv_without_slides_is_refused_by_the_name_of_the_column(tmp_path):
    root = kaggle(tmp_path)
    (root / "groups.csv").write_text("file,class\nWBC-1.jpg,Pro\n")
    with pytest.raises(DataUnreadable, match="lacks group"):
        read_index(root)


@needs_shared
def test_every_real_picture_has_its_twin():
    examples = read_index(TALEQANI)
    assert {example.label for example in examples} == set(CLASSES)
    assert all(example.segmented and example.segmented.is_file() for example in examples)
