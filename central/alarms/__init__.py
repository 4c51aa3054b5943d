"""Alarms of any source: open, acknowledged, closed; and telling people and programs of them."""
