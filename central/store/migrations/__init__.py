"""Alembic's environment and revisions, run by ``central.store.migrate``.

A revision is written by hand in ``versions/``, numbered, upgrades only; it must lose no row. Tests compare the result
with the models on both databases, and carry the rows of every earlier revision over.
"""
