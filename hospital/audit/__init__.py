"""Who did what, and who read what: append-only, also in the database's own rules."""
