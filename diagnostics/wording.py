"""What codes mean in words, for people at the bench. One place, so that API and pages agree."""

_ASK_AGAIN = "Take the picture again; if it recurs, tell the person in charge of the microscope."

# By the codes of `ml.quality` and by outcome: why a picture was rejected, and what to do.
ADVICE = {
    "out_of_focus": "The picture is out of focus. Focus on the cells and take it again.",
    "too_dark": "The picture is too dark. Turn up the light and take it again.",
    "too_bright": "The picture is too bright. Turn down the light and take it again.",
    "no_contrast": "The picture shows hardly anything. Check light and slide, then take it again.",
    "poor_stain": "The stain is too weak or its colours are off. Stain another slide.",
    "empty": "There are no stained cells in this field. Move to another field.",
    "too_small": "The picture is too small to be read. Set the camera to a higher resolution.",
    "not_a_smear": "This does not look like a blood smear. Check the slide and the objective.",
    "unusable": f"The picture cannot be used. {_ASK_AGAIN}",
}


def advice_for(rejection: str) -> str:
    """One sentence or two on a rejection code; '' for the empty code."""
    return ADVICE.get(rejection, ADVICE["unusable"]) if rejection else ""
