"""DICOM, for microscopes that speak it: objects read, matched, answered; docs/dicom.md says what.

Nothing here writes a row: that is `diagnostics.services.dicom`.
"""
