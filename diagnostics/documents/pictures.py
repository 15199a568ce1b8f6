"""The fields' pictures for print: with the outlines of the cells, no larger than paper shows."""

from diagnostics.documents.statement import Field
from diagnostics.models import Analysis, FieldImage
from diagnostics.services import drawing, guards
from hospital.base import files
from ml import images

# At 85 mm wide that is 270 dots to the inch.
SIDE = 900
QUALITY = 85


def printed(field: Field) -> bytes | None:
    """The field as JPEG, outlined where cells were found; None when it cannot be read any more."""
    key = drawing.printed_key(field.analysis_id or field.image_id)
    try:
        return drawing.once(key, lambda: _shrunk(_shown(field)))
    except (FileNotFoundError, images.ImageRefused):
        return None


def _shown(field: Field) -> bytes:
    # The same bytes may have stayed, as another patient's: of who is erased nothing is shown.
    rows = FieldImage.objects.select_related("specimen__patient")
    image = rows.filter(pk=field.image_id).first()
    if image is None or guards.is_erased(image):
        raise FileNotFoundError(field.image_id)
    if field.analysis_id:
        analysis = Analysis.objects.filter(pk=field.analysis_id).exclude(overlay_key="").first()
        if analysis is not None:
            return drawing.picture(analysis, "overlay")
    return files.read(image.storage_key)


def _shrunk(picture: bytes) -> bytes:
    small = images.thumbnail(images.decode(picture, enough=SIDE), SIDE)
    return images.encode_jpeg(small, quality=QUALITY)
