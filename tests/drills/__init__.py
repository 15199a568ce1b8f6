"""Drills: what can go wrong, made to go wrong on purpose, and counted."""
