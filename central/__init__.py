"""The aggregator: everything that needs more than one meter or a person."""
