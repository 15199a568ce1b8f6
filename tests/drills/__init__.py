"""Drills: the whole product under everything that can go wrong, for as long as it takes.

    python -m tests.drills fleet --microscopes 20 --images 5000 --faults 0.05 --postgresql
    python -m tests.drills power

What a test can hold of them is in tests/stack; these are for an evening.
"""
