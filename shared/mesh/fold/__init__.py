"""Kubernetes objects as JSON -> a snapshot's facts; pure. Only the fields that are asked about are decoded."""

from shared.mesh.fold.folding import Folding
from shared.mesh.fold.injection import Injection
from shared.mesh.fold.proxies import Current

__all__ = ["Current", "Folding", "Injection"]
