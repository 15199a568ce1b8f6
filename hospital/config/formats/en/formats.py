"""As the other pages of the staff do, and as both sides of an ocean understand it."""

DATE_FORMAT = "j M Y"
TIME_FORMAT = "H:i"
DATETIME_FORMAT = "j M Y, H:i"
