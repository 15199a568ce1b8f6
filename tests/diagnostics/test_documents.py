"""Promises of the paper: it says what was signed, to everyone, and nothing that was slipped in."""

from typing import Any

import pytest
from django.utils import translation

from diagnostics.documents import setting, text
from diagnostics.documents.clinical import clinical
from diagnostics.documents.portal import portal
from diagnostics.documents.statement import Statement, as_it_stands, of_version
from diagnostics.models import Analysis, DiagnosticReport, FieldImage, Outcome, ReportVersion
from diagnostics.services import reports, snapshots
from hospital.base import files
from tests.pdf import Pdf
from tests.world import BENIGN, PASSWORD, SURE, UNSURE, World, by_hand, look_and_sign

pytestmark = pytest.mark.django_db

CHECK = "https://hospital.example/verify/1/2/"


def signed(world: World, *, conclusion: str = "pre_b", comment: str = "") -> ReportVersion:
    """The present report of the world's specimen, signed."""
    report = look_and_sign(
        user=world.haematologist,
        password=PASSWORD,
        report=DiagnosticReport.objects.get(specimen=world.specimen),
        version=DiagnosticReport.objects.get(specimen=world.specimen).version,
        conclusion=conclusion,
        comment=comment,
    )
    return report.versions.get()


def amended(world: World, version: ReportVersion, **changes: Any) -> ReportVersion:
    """A later version of the same report, frozen as a signature freezes it."""
    report = version.report
    for name, value in ({"status": "amended"} | changes).items():
        setattr(report, name, value)
    report.version += 1
    report.save()
    content = snapshots.content_of(report)
    return ReportVersion.objects.create(
        report=report,
        version=report.version,
        status=report.status,
        content=content,
        sha256=snapshots.digest_of(content),
        signed_by=world.haematologist,
    )


def printed(statement: Statement, *, paper: str = "a4", address: str = CHECK) -> Pdf:
    sheet = clinical(statement, paper=paper, address=address)
    return Pdf(setting.pdf(sheet.data, sheet.pictures, at=statement.at))


def printed_for_portal(statement: Statement, *, guardian: bool = True) -> Pdf:
    sheet = portal(statement, guardian=guardian, paper="a4", address=CHECK)
    return Pdf(setting.pdf(sheet.data, sheet.pictures, at=statement.at))


# --- what it says -----------------------------------------------------------------------------


def test_a_signed_report_names_patient_conclusion_and_signer(world: World) -> None:
    world.reported(SURE)
    paper = printed(of_version(signed(world, comment="Blasts in every field.\nAsk for CD19.")))
    for words in [
        *("Rahman, Amina", "born 2 April 2019", "N-1", "N-2026-0001", "North Clinic", "555 0100"),
        *("20 November 2026", "Pre-B ALL", "Signed by Hana Sato"),
        *("Blasts in every field.", "Ask for CD19.", "7 cells outlined", "Suggests Pre-B ALL"),
        "Computer-aided. Assists a qualified reader; not a diagnosis.",
        CHECK,
    ]:
        assert paper.says(words), words


def test_every_page_says_whose_it_is_and_how_it_stands(world: World) -> None:
    world.reported(SURE)
    version = signed(world, comment="\n".join(f"Remark {n}." for n in range(120)))
    pages = printed(of_version(version)).pages()
    assert len(pages) > 1
    for number, page in enumerate(pages, start=1):
        bare = "".join(page.split())
        assert f"Page{number}of{len(pages)}" in bare
        for words in ["Rahman,Amina", "N-1", "version", version.sha256[:8], "notadiagnosis"]:
            assert words in bare


def test_how_sure_the_computer_is_stands_in_words_never_in_figures(world: World) -> None:
    world.reported(UNSURE)
    paper = printed(as_it_stands(DiagnosticReport.objects.get(specimen=world.specimen)), address="")
    assert paper.says("Uncertain, nearest to Early Pre-B ALL")
    assert paper.says("possible") and paper.says("little speaks for it")
    for figure in ["%", "0.4", "0.35"]:  # 40 and 35 may be minutes of an hour
        assert not paper.says(figure), figure


def test_what_nobody_has_signed_says_so_on_every_page(world: World) -> None:
    report = world.reported(SURE)
    paper = printed(as_it_stands(report), address="")
    assert paper.says("Not yet reviewed by a doctor")
    assert paper.says("None yet: a haematologist has not signed")
    assert all("NOTYETREVIEWED" in "".join(page.split()) for page in paper.pages())
    assert not paper.says("Is this paper genuine?")


def test_a_signed_report_has_no_such_mark(world: World) -> None:
    world.reported(SURE)
    assert not printed(of_version(signed(world))).says("NOT YET REVIEWED")


def test_a_changed_report_says_what_it_said_before_and_the_old_one_that_it_is_old(
    world: World,
) -> None:
    world.reported(SURE)
    first = signed(world, conclusion="pre_b")
    second = amended(world, first, conclusion="pro_b")
    assert printed(of_version(second)).says("Previously reported as: Pre-B ALL")
    old = printed(of_version(first))
    assert old.says(f"Superseded by version {second.version}")
    assert old.says("SUPERSEDED")
    assert not old.says("Pro-B ALLSigned")


def test_pictures_made_by_a_program_are_called_so(world: World) -> None:
    report = world.reported(SURE)
    FieldImage.objects.update(synthetic=True)
    report = reports.rebuild(report.specimen)
    assert printed(as_it_stands(report), address="").says("show nobody’s blood")


# --- for patients -----------------------------------------------------------------------------


def test_patients_read_plain_words_without_class_figure_or_colleagues_comment(world: World) -> None:
    world.reported(SURE)
    version = signed(world, comment="Ominous. Tell the family on Monday.")
    paper = printed_for_portal(of_version(version))
    assert paper.says("Please see a specialist about this result")
    assert paper.says("Arrange to see a haematologist in the next days")
    assert paper.says("North Clinic: 555 0100")
    for secret in ["Pre-B", "ALL", "Ominous", "Monday", "speaks for it", "%"]:
        assert not paper.says(secret), secret


def test_a_patient_is_spoken_to_and_a_guardian_about_the_child(world: World) -> None:
    """As long as nobody has signed; signed words are the same for both."""
    statement = as_it_stands(world.reported(BENIGN))
    assert printed_for_portal(statement).says("if Amina has a fever")
    assert printed_for_portal(statement, guardian=False).says("if you have a fever")


# --- frozen -----------------------------------------------------------------------------------


def test_it_says_what_was_signed_whatever_changed_since(world: World) -> None:
    world.reported(SURE)
    version = signed(world)
    before = printed(of_version(version)).text
    world.patient.family_name = "Changed"
    world.patient.save()
    world.clinic.name = "Renamed Clinic"
    world.clinic.save()
    world.haematologist.last_name = "Married"
    world.haematologist.save()
    world.succeed(world.receive(77), BENIGN)
    assert printed(of_version(ReportVersion.objects.get())).text == before


def test_a_snapshot_from_before_the_particulars_is_printed_all_the_same(world: World) -> None:
    """Its digest stays what it was; what it lacks comes from today's rows."""
    world.reported(SURE)
    version = signed(world)
    for lacking in ["shape", "patient", "specimen", "clinic", "fields", "verified_by"]:
        del version.content[lacking]
    version.sha256 = snapshots.digest_of(version.content)
    with by_hand("diagnostics_reportversion"):
        version.save()
    world.succeed(world.receive(78), BENIGN)
    paper = printed(of_version(ReportVersion.objects.get()))
    assert snapshots.is_whole(ReportVersion.objects.get())
    assert paper.says("Rahman, Amina") and paper.says("Pre-B ALL")
    assert len(paper.alternatives) == 2  # the one field that was signed, and the code


def test_the_same_report_is_the_same_file(world: World) -> None:
    world.reported(SURE)
    statement = of_version(signed(world))
    sheet = clinical(statement, paper="a4", address=CHECK)
    one, two = (setting.pdf(sheet.data, sheet.pictures, at=statement.at) for _ in range(2))
    assert one == two


# --- for everyone -----------------------------------------------------------------------------


def test_it_is_a_tagged_pdf_that_says_its_language(world: World) -> None:
    world.reported(SURE)
    paper = printed(of_version(signed(world)))
    assert "<pdfuaid:part>1</pdfuaid:part>" in paper.metadata
    assert "<pdfaid:part>2</pdfaid:part>" in paper.metadata
    for mark in ["/Lang(en)", "/StructTreeRoot", "/Marked true", "/DisplayDocTitle true"]:
        assert mark in paper.catalog
    assert paper.alternatives == [
        "Field 1 under the microscope, 7 cells outlined.",
        "QR code of the address beside it",
    ]


def test_its_title_and_metadata_do_not_name_the_patient(world: World) -> None:
    world.reported(SURE)
    metadata = printed(of_version(signed(world))).metadata
    assert "Blood smear report" in metadata
    assert "Rahman" not in metadata and "Amina" not in metadata


@pytest.mark.parametrize(("paper", "size"), [("a4", (595, 842)), ("letter", (612, 792))])
def test_it_fits_the_clinics_paper(world: World, paper: str, size: tuple[int, int]) -> None:
    world.reported(SURE)
    found = printed(of_version(signed(world)), paper=paper).paper
    assert tuple(round(side) for side in found) == size


@pytest.mark.parametrize(
    ("language", "family", "given", "direction"),
    [
        ("fa", "رحمانی‌نژاد", "آمنه", "R2L"),
        ("ar", "الرحمن", "أمينة", "R2L"),
        ("bn", "রহমান", "আমিনা", "L2R"),
        ("es", "Núñez", "Lucía", "L2R"),
    ],
)
def test_it_speaks_the_readers_language_and_direction(
    world: World, language: str, family: str, given: str, direction: str
) -> None:
    world.patient.family_name, world.patient.given_names = family, given
    world.patient.save()
    world.reported(SURE)
    statement = of_version(signed(world))
    with translation.override(language):
        papers = [printed(statement), printed_for_portal(statement)]
    for paper in papers:
        assert f"/Lang({language})" in paper.catalog
        assert f"/Direction/{direction}" in paper.catalog
        assert text.MISSING not in paper.text


# --- hostile ----------------------------------------------------------------------------------

MARKUP = '#read("/etc/passwd") *bold* $x^2$ \\u{41} _low_ <label> @ref [#sys] `raw` = Head // gone'


def test_markup_is_shown_as_it_was_typed(world: World) -> None:
    world.patient.family_name, world.patient.given_names = '#panic("x")', "*A* $b$ \\"
    world.patient.save()
    world.reported(SURE)
    paper = printed(of_version(signed(world, comment=MARKUP)))
    assert paper.says(MARKUP)
    assert paper.says('#panic("x"), *A* $b$ \\')
    assert not paper.says("root:")


def test_controls_cannot_hide_or_reorder_what_was_written(world: World) -> None:
    world.reported(SURE)
    comment = "not \u202eesnecnu\u202c \u2066benign\u2069\x07\x1b[31m a\u00ad\ufeffb"
    sheet = clinical(of_version(signed(world, comment=comment)), paper="a4", address=CHECK)
    [said] = [p["text"] for p in sheet.data["sections"][0]["parts"] if "benign" in str(p)]
    assert said == "\u2068not esnecnu benign[31m ab\u2069"
    assert Pdf(setting.pdf(sheet.data, sheet.pictures, at=world.specimen.collected_at)).pages()


def test_what_the_fonts_lack_is_marked_and_said(world: World) -> None:
    world.patient.family_name = "李😀"
    world.patient.save()
    world.reported(SURE)
    paper = printed(of_version(signed(world, comment="Seen 👩‍🔬️.")))
    assert paper.says(f"{text.MISSING}{text.MISSING}, Amina")
    assert paper.says("Some characters could not be printed")
    assert "😀" not in paper.text


@pytest.mark.parametrize(
    "comment",
    [
        pytest.param("A" * 4000, id="one endless word"),
        pytest.param("ب" * 3000, id="one endless word from right to left"),
        pytest.param("z" + "\u0301" * 2000, id="a tower of marks"),
        pytest.param("\n" * 3000, id="only line ends"),
        pytest.param("\u200d\u200c" * 500, id="only joiners"),
        pytest.param("\u0d80\U000e0001\ue000\u0378", id="no characters at all"),
        pytest.param("x" * 10_000 + " " + "y " * 3000, id="as long as it may be"),
    ],
)
def test_no_comment_keeps_a_report_from_being_printed(world: World, comment: str) -> None:
    world.reported(SURE)
    assert printed(of_version(signed(world, comment=comment))).says("Pre-B ALL")


def test_null_bytes_from_an_old_database_are_left_out() -> None:
    assert text.honest({"comment": "a\x00b", "n": [1, None, "c\x00"]}) == {
        "comment": "ab",
        "n": [1, None, "c"],
    }


def test_the_list_of_characters_is_that_of_the_fonts() -> None:
    fonttools = pytest.importorskip("fontTools.ttLib")
    for weight in ["Regular", "Bold"]:
        faces = [fonttools.TTFont(path) for path in text.FONTS.glob(f"*-{weight}.ttf")]
        assert text.covered() == {point for face in faces for point in face.getBestCmap()}


# --- pictures ---------------------------------------------------------------------------------


def test_a_picture_that_is_gone_is_said_to_be_gone(world: World) -> None:
    world.reported(SURE)
    Analysis.objects.update(overlay_key="derived/nowhere.jpg")
    paper = printed(of_version(signed(world)))
    assert paper.says("The picture of field 1 can no longer be read")


def test_of_many_fields_some_are_shown_and_the_rest_are_counted(world: World) -> None:
    for seed in range(14):
        world.succeed(world.receive(seed), SURE)
    world.succeed(world.receive(99), outcome=Outcome.UNFAMILIAR)
    report = DiagnosticReport.objects.get(specimen=world.specimen)
    paper = printed(as_it_stands(report), address="")
    assert len(paper.alternatives) == 12
    assert paper.says("12 of 15 fields")


def test_pictures_are_no_larger_than_paper_shows(world: World) -> None:
    report = world.reported(SURE)
    sheet = clinical(as_it_stands(report), paper="a4", address="")
    kept = files.read(f"derived/printed/{Analysis.objects.get().pk}.jpg")
    assert sheet.pictures == {"field-1.jpg": kept}
