"""A model package: one folder that holds everything a reading depends on, and proves it.

    package.json            what it is, how it was made, and the SHA-256 of every file below
    vgg16.safetensors       8-bit kernels with one scale per output channel, float32 biases
    densenet121.safetensors float16
    head.safetensors        float16
    gate.safetensors        float16: what 'familiar' means
    engine.json             how the CPU engine rounds, and how far that may be trusted
    figures.json            what was measured, on what
    MODEL_CARD.md           the same in words, written from figures.json

No Keras here: the web process may look at a package without loading a network.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load as parse_tensors
from safetensors.numpy import save as dump_tensors

from ml.calibration import Temperature
from ml.classes import CLASSES
from ml.familiarity import Gate

FORMAT = 1
MANIFEST = "package.json"
COMMITTED = Path(__file__).parent / "package" / "leukolens-fusion-2"
SCALE = "|scale"  # suffix of the tensor that holds an 8-bit kernel's scales

Tensors = dict[str, NDArray[Any]]


class PackageTampered(Exception):
    """A file of the package is missing or is not the one it was made with. `file` says which."""

    def __init__(self, file: str, why: str) -> None:
        super().__init__(f"model package: {file} {why}")
        self.file = file


@dataclass(frozen=True, slots=True)
class Package:
    """A verified package. Files are read again, and checked again, when their tensors are."""

    folder: Path
    manifest: Mapping[str, Any]
    digest: str  # 64 hex digits over the manifest, which covers every file

    @property
    def name(self) -> str:
        return str(self.manifest["name"])

    @property
    def version(self) -> str:
        return str(self.manifest["version"])

    @property
    def preprocessing(self) -> str:
        """The version of `ml.preprocessing` that the network was trained behind."""
        return str(self.manifest["preprocessing"]["version"])

    @property
    def temperature(self) -> Temperature:
        return Temperature(float(self.manifest["calibration"]["temperature"]))

    @property
    def gate(self) -> Gate:
        return Gate.unpack(self.tensors("gate.safetensors"), self.manifest["gate"])

    def tensors(self, file: str) -> Tensors:
        """The file's tensors as float32, 8-bit ones dequantised. Raises `PackageTampered`."""
        return unpack(self.stored(file))

    def stored(self, file: str) -> Tensors:
        """The file's tensors as they lie there: 8-bit kernels and scales, float16."""
        return parse_tensors(_checked(self.folder, file, self.manifest["files"]))

    def document(self, file: str) -> str:
        """The text of a document of the package, checked. Raises `PackageTampered`."""
        return _checked(self.folder, file, self.manifest["files"]).decode()


def verify(folder: Path) -> Package:
    """The package in `folder`, once every file is seen to be the one the manifest names.

    Raises `PackageTampered` naming the first file that is missing or changed, the manifest
    included. It guards against accident and against a swapped file; whoever can rewrite the
    whole folder can make a new package, which then has another digest.
    """
    manifest = _manifest(folder)
    for file in manifest["files"]:
        _checked(folder, file, manifest["files"])
    return Package(folder=folder, manifest=manifest, digest=str(manifest["digest"]))


def describe(folder: Path) -> Package:
    """The package in `folder` for reading about it: its weights are checked only when asked for.

    Raises `PackageTampered` when there is none, or its manifest was changed.
    """
    manifest = _manifest(folder)
    return Package(folder=folder, manifest=manifest, digest=str(manifest["digest"]))


def write(
    folder: Path,
    *,
    description: Mapping[str, Any],
    tensors: Mapping[str, Tensors],
    documents: Mapping[str, str],
) -> Package:
    """Write a package and read it back.

    `description` is the manifest without files and digest; `tensors` maps a file name to what
    `pack8` or `pack16` returned; `documents` maps a file name to its text.
    """
    contents = {name: _dump(held) for name, held in tensors.items()}
    contents |= {name: text.encode() for name, text in documents.items()}
    return _write(folder, description, contents)


def revise(
    package: Package, folder: Path, *, version: str, documents: Mapping[str, str]
) -> Package:
    """The same package in another version, in `folder`, which may be its own: every file to the
    byte but for `documents`, which are replaced or added. Returns it, read back."""
    files = package.manifest["files"]
    contents = {name: _checked(package.folder, name, files) for name in files}
    contents |= {name: text.encode() for name, text in documents.items()}
    own = {"format", "classes", "files", "digest"}  # `_write` adds them
    kept = {key: value for key, value in package.manifest.items() if key not in own}
    return _write(folder, {**kept, "version": version}, contents)


def _write(folder: Path, description: Mapping[str, Any], contents: Mapping[str, bytes]) -> Package:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    files = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        for name, data in sorted(contents.items())
    }
    manifest = {
        "format": FORMAT,
        **description,
        "classes": [label.value for label in CLASSES],
        "files": files,
    }
    manifest["digest"] = digest(manifest)
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    return verify(folder)


def digest(manifest: Mapping[str, Any]) -> str:
    """SHA-256 of the manifest without its own digest, as sorted JSON without blanks."""
    covered = {key: value for key, value in manifest.items() if key != "digest"}
    canonical = json.dumps(covered, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def pack8(weights: Mapping[str, NDArray[Any]]) -> Tensors:
    """Kernels (two dimensions or more) to int8 with a scale per last axis; the rest float32."""
    packed: Tensors = {}
    for name, values in weights.items():
        if values.ndim < 2:
            packed[name] = values.astype(np.float32)
            continue
        largest = np.abs(values).max(axis=tuple(range(values.ndim - 1)))
        scale = np.maximum(largest / 127, np.finfo(np.float32).tiny).astype(np.float32)
        packed[name] = np.rint(values / scale).astype(np.int8)
        packed[name + SCALE] = scale
    return packed


def pack16(weights: Mapping[str, NDArray[Any]]) -> Tensors:
    """Everything to float16; refuses values that float16 cannot hold."""
    with np.errstate(over="ignore"):  # looked at below
        packed = {name: values.astype(np.float16) for name, values in weights.items()}
    if not all(np.isfinite(values).all() for values in packed.values()):
        raise ValueError("a weight is too large for float16")
    return packed


def unpack(stored: Mapping[str, NDArray[Any]]) -> Tensors:
    """What `pack8` and `pack16` made, as float32: the very weights that figures are taken with."""
    return {
        name: values.astype(np.float32) * stored[name + SCALE]
        if name + SCALE in stored
        else values.astype(np.float32)
        for name, values in stored.items()
        if not name.endswith(SCALE)
    }


def _dump(tensors: Tensors) -> bytes:
    # safetensors writes an array's memory as it lies: a transposed one would come back scrambled.
    return dump_tensors({name: np.ascontiguousarray(held) for name, held in tensors.items()})


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PackageTampered(MANIFEST, "is missing or unreadable") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise PackageTampered(MANIFEST, f"is not of format {FORMAT}")
    if manifest.get("digest") != digest(manifest):
        raise PackageTampered(MANIFEST, "was changed after it was written")
    if manifest["classes"] != [label.value for label in CLASSES]:
        raise PackageTampered(MANIFEST, "names other classes than this program")
    return manifest


def _checked(folder: Path, file: str, files: Mapping[str, Mapping[str, Any]]) -> bytes:
    if file not in files or Path(file).name != file:
        raise PackageTampered(file, "is not part of the package")
    try:
        data = (folder / file).read_bytes()
    except OSError as error:
        raise PackageTampered(file, "is missing") from error
    if hashlib.sha256(data).hexdigest() != files[file]["sha256"]:
        raise PackageTampered(file, "was changed")
    return data
