"""``detkit benchmark``: speed, memory and size of a detector in every runtime and precision."""
