"""Compiled kernels; every one also runs as plain Python."""
