"""What templates draw, made from what services return: pure, no database, no request."""
