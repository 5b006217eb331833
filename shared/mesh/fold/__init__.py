"""Kubernetes objects as JSON -> a snapshot's facts; pure. Only the fields that are asked about are decoded."""

from shared.mesh.fold.folding import Folding

__all__ = ["Folding"]
