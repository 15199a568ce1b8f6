"""The program beside the microscope: keeps every picture until the hospital has it."""

__version__ = "1.0.0"
