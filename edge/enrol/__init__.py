"""Bringing this gateway in: a key made here, a one-time code, a certificate from central."""
