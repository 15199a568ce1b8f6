"""Specimens, pictures and reports over HTTP: for microscopes (key) and for staff (session)."""
