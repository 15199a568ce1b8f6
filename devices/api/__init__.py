"""Microscopes over HTTP: their own door (key), and the registry for staff (session)."""
