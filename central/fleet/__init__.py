"""Gateways at work: state, telemetry, commands."""
