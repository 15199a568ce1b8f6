"""Signing in, and where each person lands."""
