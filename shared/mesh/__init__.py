"""A mesh described as data, what a cluster holds of it, and what to do about the difference."""
