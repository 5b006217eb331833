"""Hostile and broken input: a generator of mutations, what is decoded, and a run by the hundred thousand.

The suite tries a bounded, repeatable part of it (`tests/unit/test_hostile_*.py`); `python -m tests.hostile` the rest.
"""
