"""The deployed entry points: one file a function."""
