"""The patient registry, and who may see a patient."""
