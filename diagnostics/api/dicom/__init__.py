"""DICOMweb: objects stored (STOW-RS), searched (QIDO-RS), retrieved (WADO-RS). docs/dicom.md."""
