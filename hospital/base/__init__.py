"""The few things every app stands on: states, refusals, durable files. Knows no app."""
