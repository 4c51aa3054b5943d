"""A generated utility: what to measure against and to show, the same for the same seed."""
