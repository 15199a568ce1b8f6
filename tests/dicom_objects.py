"""DICOM objects as microscopes make them, and as nobody should."""

import io
from typing import Any

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    VLMicroscopicImageStorage,
    generate_uid,
)

from diagnostics.models import Specimen
from tests.world import World, jpeg


def pixels_of(body: bytes) -> np.ndarray:
    """A picture file as (H, W, 3)."""
    return np.asarray(Image.open(io.BytesIO(body)).convert("RGB"))


def dataset(
    world: World, seed: int = 0, *, specimen: Specimen | None = None, **changes: Any
) -> Dataset:
    """A JPEG Baseline object of a specimen (the world's); a change to None leaves one out."""
    specimen = specimen or world.specimen
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    made.SpecificCharacterSet = "ISO_IR 192"
    made.SOPClassUID = VLMicroscopicImageStorage
    made.SOPInstanceUID = generate_uid()
    made.StudyInstanceUID = generate_uid()
    made.SeriesInstanceUID = generate_uid()
    made.StudyDate, made.StudyTime = "20261121", "093000"
    made.AcquisitionDateTime = "20261121093000.5+0100"
    made.Modality = "GM"
    made.Manufacturer = "Optika"
    made.PatientName = "Rahman^Amina"
    made.PatientID = specimen.patient.mrn
    made.PatientBirthDate, made.PatientSex = "20190402", "F"
    made.AccessionNumber = specimen.accession
    made.ContainerIdentifier = specimen.accession
    described = Dataset()
    described.SpecimenIdentifier = specimen.accession
    described.SpecimenUID = generate_uid()
    made.SpecimenDescriptionSequence = Sequence([described])
    made.InstanceNumber = 1
    as_jpeg(made, jpeg(seed))
    for keyword, value in changes.items():
        if value is None:
            delattr(made, keyword)
        else:
            setattr(made, keyword, value)
    return made


def as_jpeg(made: Dataset, body: bytes, colours: str = "YBR_FULL_422") -> Dataset:
    """With `body` as its one JPEG Baseline frame."""
    picture = Image.open(io.BytesIO(body))
    _describe(made, picture.height, picture.width, len(picture.getbands()), colours)
    made.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    made.PixelData = encapsulate([body])
    made["PixelData"].VR = "OB"
    return made


def as_native(
    made: Dataset, values: np.ndarray, colours: str = "RGB", syntax: str = ExplicitVRLittleEndian
) -> Dataset:
    """With `values`, (H, W) or (H, W, 3), uncompressed."""
    samples = 1 if values.ndim == 2 else 3
    _describe(made, *values.shape[:2], samples, colours, bits=8 * values.dtype.itemsize)
    made.file_meta.TransferSyntaxUID = syntax
    body = values.tobytes()
    made.PixelData = body + b"\0" * (len(body) % 2)
    made["PixelData"].VR = "OW"
    return made


def as_jpeg_2000(made: Dataset, values: np.ndarray) -> Dataset:
    """With `values`, (H, W, 3), as one lossless JPEG 2000 frame."""
    out = io.BytesIO()
    Image.fromarray(values).save(out, "JPEG2000", no_jp2=True, irreversible=False)
    _describe(made, *values.shape[:2], 3, "YBR_RCT")
    made.file_meta.TransferSyntaxUID = JPEG2000Lossless
    made.PixelData = encapsulate([out.getvalue()])
    made["PixelData"].VR = "OB"
    return made


def part10(made: Dataset) -> bytes:
    """The object as a file."""
    made.file_meta.MediaStorageSOPClassUID = made.get("SOPClassUID") or "1.2.3"
    made.file_meta.MediaStorageSOPInstanceUID = made.get("SOPInstanceUID") or "1.2.3"
    out = io.BytesIO()
    made.save_as(out, enforce_file_format=True)
    return out.getvalue()


def _describe(
    made: Dataset, rows: int, columns: int, samples: int, colours: str, bits: int = 8
) -> None:
    made.Rows, made.Columns, made.SamplesPerPixel = rows, columns, samples
    made.PhotometricInterpretation = colours
    made.BitsAllocated = made.BitsStored = bits
    made.HighBit, made.PixelRepresentation = bits - 1, 0
    if samples == 3:
        made.PlanarConfiguration = 0
