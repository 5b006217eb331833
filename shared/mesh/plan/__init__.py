"""What to do about a mesh and its extensions: what is there, held against what should be; pure."""

from shared.mesh.plan.deciding import difference, differing_keys, make_plan, may_take_back
from shared.mesh.plan.desired import Desired, DesiredRelease, Installation
from shared.mesh.plan.extensions import joined, removal, untouched, wished
from shared.mesh.plan.steps import (
    ForgetRevision,
    Kind,
    Plan,
    Reapply,
    RemoveNamespace,
    RemoveRelease,
    RunHelm,
    Step,
    WriteNamespace,
    WriteObject,
    WriteSecret,
)

__all__ = [
    "Desired",
    "DesiredRelease",
    "ForgetRevision",
    "Installation",
    "Kind",
    "Plan",
    "Reapply",
    "RemoveNamespace",
    "RemoveRelease",
    "RunHelm",
    "Step",
    "WriteNamespace",
    "WriteObject",
    "WriteSecret",
    "difference",
    "differing_keys",
    "joined",
    "make_plan",
    "may_take_back",
    "removal",
    "untouched",
    "wished",
]
