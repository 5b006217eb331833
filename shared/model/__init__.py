"""The frozen data that flows through the house, and its JSON.

Message fields are the contract of the topics: unknown fields are ignored, a schema above `SCHEMA` is Permanent.
"""

from shared.model.bounding import status_for_the_log
from shared.model.checks import CategoryReport, CheckOutcome, CheckReport, CheckResult, CheckSummary, FailingCheck
from shared.model.cluster_ref import ClusterRef
from shared.model.codec import decode, encode, from_builtins, to_builtins
from shared.model.finding import Finding
from shared.model.mesh_settings import OPTIONS, UNDECIDED, Images, IptablesMode, MeshSettings
from shared.model.meshes import known_meshes
from shared.model.messages import (
    SCHEMA,
    ClusterEvent,
    EnforceRequest,
    InstallRequest,
    MeshStatus,
    Phase,
    Reason,
    Release,
    Stage,
    SweepRequest,
    VerifyRequest,
)
from shared.model.repair import OutdatedWorkloads, Remedy, Repair

__all__ = [
    "OPTIONS",
    "SCHEMA",
    "UNDECIDED",
    "CategoryReport",
    "CheckOutcome",
    "CheckReport",
    "CheckResult",
    "CheckSummary",
    "ClusterEvent",
    "ClusterRef",
    "EnforceRequest",
    "FailingCheck",
    "Finding",
    "Images",
    "InstallRequest",
    "IptablesMode",
    "MeshSettings",
    "MeshStatus",
    "OutdatedWorkloads",
    "Phase",
    "Reason",
    "Release",
    "Remedy",
    "Repair",
    "Stage",
    "SweepRequest",
    "VerifyRequest",
    "decode",
    "encode",
    "from_builtins",
    "known_meshes",
    "status_for_the_log",
    "to_builtins",
]
