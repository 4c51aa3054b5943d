"""Commands from the aggregator: each carried out once and answered through the spool."""
