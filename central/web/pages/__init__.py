"""Handlers of the pages: parse, ask a service, render."""
