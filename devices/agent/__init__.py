"""The program beside the microscope: keeps every picture until the hospital has it."""
