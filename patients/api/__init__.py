"""The patient registry over HTTP, for staff."""
