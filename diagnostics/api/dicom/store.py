"""STOW-RS and QIDO-RS: objects are stored and searched."""

from typing import Any

from django.conf import settings
from django.http import HttpResponse
from rest_framework.request import Request

from devices.api.authentication import device_of
from diagnostics.api.dicom.door import (
    DicomView,
    base_of,
    in_dicom_json,
    reader_of,
    visible,
)
from diagnostics.dicom import search
from diagnostics.dicom.multipart import parts_of
from diagnostics.dicom.objects import announced
from diagnostics.dicom.refusals import comment_of, status_of
from diagnostics.models import DicomInstance
from diagnostics.services import dicom
from hospital.base.api import read_body
from hospital.base.problems import Overloaded, Refusal

Json = dict[str, Any]

_STUDY = "0020000D"  # StudyInstanceUID


class StudiesView(DicomView):
    """All studies: searched, and new objects stored."""

    def get(self, request: Request) -> HttpResponse:
        """Search for studies."""
        return searched(request, level="study")

    def post(self, request: Request) -> HttpResponse:
        """Store objects."""
        return stored(request)


class SeriesView(DicomView):
    """Series of all studies, or of one."""

    def get(self, request: Request, study: str = "") -> HttpResponse:
        """Search for series."""
        return searched(request, level="series", study_uid=study)


class InstancesView(DicomView):
    """Instances of all studies, of one, or of one of its series."""

    def get(self, request: Request, study: str = "", series: str = "") -> HttpResponse:
        """Search for instances."""
        return searched(request, level="instance", study_uid=study, series_uid=series)


def searched(request: Request, *, level: str, **within: str) -> HttpResponse:
    """The answer to a search."""
    query = search.query_of(dict(request.GET.lists()))
    rows = visible(request).filter(**{name: uid for name, uid in within.items() if uid})
    told = search.found(
        rows,
        query,
        level=level,
        within_study=bool(within.get("study_uid")),
        base=base_of(request),
    )
    if told:
        studies = {one[_STUDY]["Value"][0] for one in told if _STUDY in one}
        found = rows.filter(study_uid__in=studies or {within["study_uid"]})
        dicom.note_searched(reader=reader_of(request), instances=found)
    return in_dicom_json(told)


def stored(request: Request, *, study_uid: str = "") -> HttpResponse:
    """Store each object of the body, judged by itself; tell which are safe and which are not."""
    device, base = device_of(request), base_of(request)
    safe: list[DicomInstance] = []
    failed: list[tuple[bytes, Refusal]] = []
    kind = request.headers.get("Content-Type", "")
    for data in parts_of(read_body(request), kind, most=settings.MAX_BULK_PICTURES):
        try:
            safe.append(dicom.store(device=device, data=data, study_uid=study_uid)[0])
        except Refusal as refusal:
            failed.append((data, refusal))
    if failed and not safe and all(refusal.retry_after for _, refusal in failed):
        # Nothing is wrong with the objects: the sender is to come again.
        busiest = max(refusal.retry_after or 0 for _, refusal in failed)
        first = failed[0][1]
        raise Overloaded(first.detail, code=first.code, retry_after=busiest)
    told: Json = {}
    if safe:
        told["00081199"] = {"vr": "SQ", "Value": [_safe(row, base) for row in safe]}
    if failed:
        told["00081198"] = {"vr": "SQ", "Value": [_failed(*one) for one in failed]}
    response = in_dicom_json(told, status=200 if not failed else 202 if safe else 409)
    if failed:
        # The standard has numbers only; this is for people, as its Warning header is.
        reasons = dict.fromkeys(comment_of(refusal).replace('"', "'") for _, refusal in failed)
        response["Warning"] = ", ".join(f'299 leukolens "{reason}"' for reason in reasons)
    return response


def _safe(row: DicomInstance, base: str) -> Json:
    return {
        **_reference(row.sop_class_uid, row.sop_instance_uid),
        "00081190": {"vr": "UR", "Value": [search.address_of(row, base, level="instance")]},
    }


def _failed(data: bytes, refusal: Refusal) -> Json:
    return {
        **_reference(*announced(data)),
        "00081197": {"vr": "US", "Value": [status_of(refusal)]},
    }


def _reference(sop_class_uid: str, sop_instance_uid: str) -> Json:
    """Referenced SOP Class and Instance UID, empty where the object does not say them."""
    told: Json = {"00081150": {"vr": "UI"}, "00081155": {"vr": "UI"}}
    for tag, uid in zip(told, (sop_class_uid, sop_instance_uid), strict=True):
        if uid:
            told[tag]["Value"] = [uid]
    return told
