"""Writes about microscopes, one file a concern."""
