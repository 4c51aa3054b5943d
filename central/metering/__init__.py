"""What was measured, and the figures made from it."""
