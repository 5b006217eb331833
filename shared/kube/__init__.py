"""The only door to the Kubernetes client: a connection to one cluster, JSON in and out.

Nothing is repeated here: what fails for a passing reason raises Temporary, and its delivery comes again.
"""

from shared.kube.api import Kube
from shared.kube.connect import AccountToken, Token, connect, default_token, from_kubeconfig
from shared.kube.discovery import Resource
from shared.kube_errors import (
    AdmissionDenied,
    AlreadyExists,
    ClusterFault,
    Conflict,
    FieldConflict,
    IamNotReady,
    Invalid,
    NotFound,
    Unauthorized,
    Unavailable,
    UnknownKind,
)

__all__ = [
    "AccountToken",
    "AdmissionDenied",
    "AlreadyExists",
    "ClusterFault",
    "Conflict",
    "FieldConflict",
    "IamNotReady",
    "Invalid",
    "Kube",
    "NotFound",
    "Resource",
    "Token",
    "Unauthorized",
    "Unavailable",
    "UnknownKind",
    "connect",
    "default_token",
    "from_kubeconfig",
]
