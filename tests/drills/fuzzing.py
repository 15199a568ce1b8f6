"""The fuzz drill: spoilt and forged pictures at the doors of a hospital in this process.

    python -m tests.drills fuzz --cases 20000 --seed 1

Each goes by HTTP to the door it is made for, and what is taken goes through the worker's decoder.
Promised are: no answer of 500 and above, a stable code in every refusal, a row and a file for
each picture taken and none for another, no decoder that dies, and memory that has an end.
`--only 4711` tries one case again and says what it was.
"""

import json
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.core.files.storage import default_storage
from django.test import Client
from django.urls import reverse
from pydicom.uid import ExplicitVRLittleEndian

from diagnostics.models import Analysis, DicomInstance, FieldImage
from hospital.audit.models import Entry
from hospital.base import files
from ml import guarded
from ml.images import ImageRefused
from ml.preprocessing import open_picture
from tests.dicom_objects import as_jpeg_2000, as_native, dataset, part10, pixels_of
from tests.drills.mutants import Mutant, mutants, pictures
from tests.world import World, content_digest, jpeg

DICOM_TYPE = 'multipart/related; type="application/dicom"; boundary=fuzz'
# In every object; each case has a number of its own there, or the second would be the first again.
UID = "1.2.826.0.1.3680043.8.498.10000000000000000000"


@dataclass
class Tally:
    """What came of the cases."""

    answers: Counter[str] = field(default_factory=Counter)
    trouble: list[str] = field(default_factory=list)

    @property
    def cases(self) -> int:
        """How many there were."""
        return sum(self.answers.values())


def fuzz(world: World, tally: Tally, *, seed: int, cases: range) -> None:
    """Send `cases` and look at what they left behind; the caller undoes what was written."""
    sound = {**pictures(), **objects(world)}
    known = set(FieldImage.objects.values_list("pk", flat=True))
    for number, mutant in zip(cases, mutants(sound, seed=seed, cases=cases), strict=True):
        where = f"case {number} ({mutant.name})"
        answer = sent(world, mutant, number)
        said = judged(answer)
        tally.answers[said] += 1
        if "!" in said:
            tally.trouble.append(f"{where}: {said} {answer.content[:300]!r}")
        taken = FieldImage.objects.exclude(pk__in=known)
        if said in {"200", "201"}:
            image = taken.get()
            known.add(image.pk)
            tally.trouble += [f"{where}: {word}" for word in _deadly(files.read(image.storage_key))]
        elif taken.exists():
            tally.trouble.append(f"{where}: {said}, and a row is left")
            known.update(taken.values_list("pk", flat=True))
    tally.trouble += [f"{cases}: {word}" for word in _left_behind()]


def objects(world: World) -> dict[str, bytes]:
    """Sound DICOM objects in each way that pixels are taken."""
    values = pixels_of(jpeg(5, side=96))
    made = {
        "dicom-jpeg": dataset(world, SOPInstanceUID=UID),
        "dicom-native": as_native(dataset(world, SOPInstanceUID=UID), values),
        "dicom-grey": as_native(
            dataset(world, SOPInstanceUID=UID),
            values[..., 0].copy(),
            "MONOCHROME2",
            ExplicitVRLittleEndian,
        ),
        "dicom-jpeg-2000": as_jpeg_2000(dataset(world, SOPInstanceUID=UID), values),
    }
    return {name: part10(one) for name, one in made.items()}


def sent(world: World, mutant: Mutant, number: int) -> Any:
    """The answer of the door that the file was made for."""
    client = Client(raise_request_exception=False)
    headers = {"Authorization": f"Bearer {world.key}"}
    if mutant.is_dicom:
        body = mutant.body.replace(UID.encode(), f"{UID[:-19]}{number:019}".encode())
        part = b"--fuzz\r\nContent-Type: application/dicom\r\n\r\n%s\r\n--fuzz--\r\n" % body
        address = reverse("api:dicom-studies")
        return client.post(address, part, content_type=DICOM_TYPE, headers=headers)
    headers["Content-Digest"] = content_digest(mutant.body)
    headers["Accession-Number"] = world.specimen.accession
    address = reverse("api:device-image", kwargs={"image_id": uuid.UUID(int=number)})
    return client.put(address, mutant.body, content_type="image/jpeg", headers=headers)


def judged(answer: Any) -> str:
    """The status, of a refusal its code as well; with a '!' what must not be."""
    said = str(answer.status_code)
    if answer.status_code >= 500:
        return f"{said}!"
    if answer.status_code < 400:
        return said
    try:
        told = json.loads(answer.content)
        if "00081198" in told:  # DICOMweb has numbers for codes
            return f"{said} {told['00081198']['Value'][0]['00081197']['Value'][0]:04X}"
        return f"{said} {told['code']}"
    except (ValueError, LookupError):
        return f"{said} without a code!"


def _deadly(body: bytes) -> list[str]:
    """What happens to the worker that gets what was taken; a refusal is its right."""
    try:
        guarded.survives(body)
        open_picture(body)
    except guarded.Died:
        return ["taken, and the decoder dies of it"]
    except ImageRefused:
        pass
    return []


def _left_behind() -> list[str]:
    """Rows without the others, files without a row, rows without a file."""
    images = FieldImage.objects.count()
    others = {
        "analyses": Analysis.objects.count(),
        "entries": Entry.objects.filter(action="image.received").count(),
    }
    trouble = [
        f"{images} pictures, {count} {name}" for name, count in others.items() if count != images
    ]
    rows = {*FieldImage.objects.values_list("storage_key", flat=True)}
    rows |= {*DicomInstance.objects.values_list("storage_key", flat=True)}
    folder = Path(default_storage.location)  # type: ignore[attr-defined]
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    return trouble + [f"left behind: {key}" for key in sorted(rows ^ there)]
