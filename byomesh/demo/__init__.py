"""The main job shown on the local cloud: what `make demo` runs."""
