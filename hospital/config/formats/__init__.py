"""How Django writes days and times where it is not told otherwise: in its admin."""
