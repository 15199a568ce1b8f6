"""Backups: database, files, keys and the head of the audit trail, in a folder; and back again.

A folder holds any number of backups. Files are kept once, under their SHA-256, whatever backups
they belong to:

    objects/ab/<sha256>        what the storage holds
    2026-11-28T02-00-00Z/      one backup: its manifest, the database, the list of files, …

docs/backup.md says what it promises.
"""
