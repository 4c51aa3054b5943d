"""Bringing gateways in without a secret of their own: a one-time code, a key made there, approval, a certificate."""
