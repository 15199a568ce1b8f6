"""Events pushed to open screens: an id, a kind and a version. Never patient data."""
