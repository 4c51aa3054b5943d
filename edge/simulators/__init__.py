"""Simulated devices: the other side of the drivers, for tests and the demonstration."""
