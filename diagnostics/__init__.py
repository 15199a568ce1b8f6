"""Specimens, field images, analyses and reports: intake, pipeline, review, release."""
