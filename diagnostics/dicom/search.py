"""QIDO-RS: what was asked for, as a filter of rows; and rows, as what DICOM answers."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from django.db.models import Count, Min, Q, QuerySet
from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword

from diagnostics.models import DicomInstance
from hospital.base.problems import Refusal

Json = dict[str, Any]

USUAL, MOST = 100, 1000
_LONGEST_VALUE = 64 * 50

_COLUMNS = {
    "StudyInstanceUID": "study_uid",
    "SeriesInstanceUID": "series_uid",
    "SOPInstanceUID": "sop_instance_uid",
    "SOPClassUID": "sop_class_uid",
    "AccessionNumber": "image__specimen__accession",
    "PatientID": "image__specimen__patient__mrn",
    "StudyDate": "study_date",
}
_PATIENT = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")
_STUDY = (*_PATIENT, "StudyDate", "StudyTime", "AccessionNumber", "StudyInstanceUID", "StudyID")
_SERIES = ("Modality", "SeriesDescription", "SeriesInstanceUID", "SeriesNumber")
_INSTANCE = ("SOPClassUID", "SOPInstanceUID", "InstanceNumber", "Rows", "Columns", "BitsAllocated")
# What an answer of each level tells without being asked.
LEVELS = {
    "study": _STUDY,
    "series": ("StudyInstanceUID", *_SERIES),
    "instance": ("StudyInstanceUID", *_SERIES, *_INSTANCE),
}


class BadQuery(Refusal):
    """A search that cannot be understood, or that would show more than was meant."""

    status = 400
    code = "dicom_bad_query"


@dataclass(frozen=True)
class Query:
    """A search: which rows, from which on, how many, and what is told of each."""

    where: Q
    offset: int
    limit: int
    fields: frozenset[str]
    everything: bool


def query_of(parameters: Mapping[str, list[str]]) -> Query:
    """What the address's parameters ask for.

    A key that cannot be matched is refused rather than passed over: the answer would show
    patients who were not meant.

    Raises:
        BadQuery: an unknown or unmatchable attribute, a value of the wrong form.
    """
    where, fields, everything = Q(), set[str](), False
    numbers = {"offset": 0, "limit": USUAL}
    for name, values in parameters.items():
        if name == "includefield":
            words = [word for value in values for word in value.split(",") if word]
            everything = everything or "all" in words
            fields |= {_keyword(word) for word in words if word != "all"}
        elif name in numbers:
            numbers[name] = _number(name, values[-1])
        elif name == "fuzzymatching":
            if values[-1] != "false":
                raise BadQuery("There is no fuzzy matching here.")
        else:
            where &= _condition(_keyword(name), values[-1])
    limit = min(numbers["limit"], MOST)
    return Query(where, numbers["offset"], limit, frozenset(fields), everything)


def _keyword(name: str) -> str:
    """The attribute's keyword, given that or eight hexadecimal digits."""
    if len(name) == 8 and all(c in "0123456789abcdefABCDEF" for c in name):
        found = keyword_for_tag(int(name, 16))
    else:
        found = name if tag_for_keyword(name) is not None else ""
    if not found:
        raise BadQuery("An attribute is asked for that DICOM does not know. Use its keyword.")
    return found


def _number(name: str, value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) <= 9):
        raise BadQuery(f"'{name}' must be a whole number, 0 or more.")
    return int(value)


def _condition(keyword: str, value: str) -> Q:
    column = _COLUMNS.get(keyword)
    if column is None:
        raise BadQuery(
            f"{keyword} cannot be searched for. These can: {', '.join(_COLUMNS)}.",
            code="dicom_unmatchable",
        )
    if len(value) > _LONGEST_VALUE or not value.isprintable():
        raise BadQuery(f"The value of {keyword} cannot be read.")
    if value in {"", "*"}:
        return Q()
    if keyword == "StudyDate":
        return _days(value)
    if keyword.endswith("UID"):
        return Q(**{f"{column}__in": value.replace("\\", ",").split(",")})
    if value.endswith("*") and not set(value[:-1]) & {"*", "?"}:
        return Q(**{f"{column}__startswith": value[:-1]})
    if set(value) & {"*", "?"}:
        raise BadQuery(f"In {keyword} only one '*', at the end, is understood.")
    return Q(**{column: value})


def _days(value: str) -> Q:
    first, dash, last = value.partition("-")
    if not dash:
        return Q(study_date=_day(first))
    where = Q()
    if first:
        where &= Q(study_date__gte=_day(first))
    if last:
        where &= Q(study_date__lte=_day(last))
    return where


def _day(value: str) -> date:
    try:
        if len(value) != 8:
            raise ValueError
        return datetime.strptime(value, "%Y%m%d").date()
    except ValueError:
        raise BadQuery("A StudyDate is YYYYMMDD, or two of them with '-' between.") from None


def found(
    rows: QuerySet[DicomInstance], query: Query, *, level: str, within_study: bool, base: str
) -> list[Json]:
    """What is found among `rows`, each study, series or instance once, in a lasting order.

    Args:
        level: 'study', 'series' or 'instance'.
        within_study: the address names the study, so its attributes are not told each time.
        base: the address of the DICOMweb service, for Retrieve URL.
    """
    rows = rows.filter(query.where)
    if not within_study:
        query = replace(query, fields=query.fields | {*LEVELS["study"]})
    window = slice(query.offset, query.offset + query.limit)
    if level == "instance":
        page = list(rows.order_by("-image__received_at", "pk")[window])
        return [told(row, query, level=level, base=base) for row in page]
    key = "study_uid" if level == "study" else "series_uid"
    names = ["study_uid"] if level == "study" else ["study_uid", "series_uid"]
    counted = (
        rows.order_by()
        .values(*names)
        .annotate(
            instances=Count("pk"),
            series=Count("series_uid", distinct=True),
            first=Min("sop_instance_uid"),
        )
    )
    groups = list(counted.order_by(*names)[window])
    firsts = rows.in_bulk([g["first"] for g in groups], field_name="sop_instance_uid")
    answers = []
    for group in groups:
        answer = told(firsts[group["first"]], query, level=level, base=base)
        if key == "study_uid":
            answer["00201206"] = {"vr": "IS", "Value": [group["series"]]}
            answer["00201208"] = {"vr": "IS", "Value": [group["instances"]]}
        else:
            answer["00201209"] = {"vr": "IS", "Value": [group["instances"]]}
        answers.append(answer)
    return answers


def told(row: DicomInstance, query: Query, *, level: str, base: str) -> Json:
    """One answer: the object's own words, but for the accession number it was filed under."""
    known = {**row.attributes, "00080050": {"vr": "SH", "Value": [row.image.label]}}
    if query.everything:
        answer = dict(known)
    else:
        answer = {}
        for keyword in {*LEVELS[level], *query.fields}:
            tag = tag_for_keyword(keyword) or 0
            # What was asked for and is not there is answered as empty.
            answer[f"{tag:08X}"] = known.get(f"{tag:08X}", {"vr": dictionary_VR(tag)})
    answer["00081190"] = {"vr": "UR", "Value": [address_of(row, base, level=level)]}
    answer["00080056"] = {"vr": "CS", "Value": ["ONLINE"]}
    return dict(sorted(answer.items()))


def address_of(row: DicomInstance, base: str, *, level: str) -> str:
    """Where the study, the series or the instance is retrieved."""
    address = f"{base}/studies/{row.study_uid}"
    if level != "study":
        address += f"/series/{row.series_uid}"
    if level == "instance":
        address += f"/instances/{row.sop_instance_uid}"
    return address
