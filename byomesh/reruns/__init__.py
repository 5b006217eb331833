"""Reruns by hand: which clusters, which messages, when, and how each ended."""
