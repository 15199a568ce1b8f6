"""Whoever runs the network says what the reference says, or does not run it."""
