"""Which cluster gets which mesh, and how: a list of rules, the first that matches decides; pure.

The built-in policy: every Autopilot cluster gets Linkerd, except with the label `byomesh=off`; a Standard cluster only
with the label `mesh=linkerd`. `mesh=none` opts out like `byomesh=off`, and `mesh=NAME` asks for a mesh by name.
"""

from shared.policy.deciding import (
    BUILT_IN,
    NO_RULE,
    OPTED_OUT,
    Decision,
    Mode,
    Verdict,
    decide,
    explain,
    paused,
    remarks,
)
from shared.policy.document import LIMIT
from shared.policy.faults import BadPolicy, Fault
from shared.policy.loading import load, read_bytes, read_file
from shared.policy.reading import read
from shared.policy.rules import CHANNELS, Condition, Limits, Match, NetAdmin, Pause, Policy, Rule, RuleMode, Sweep

__all__ = [
    "BUILT_IN",
    "CHANNELS",
    "LIMIT",
    "NO_RULE",
    "OPTED_OUT",
    "BadPolicy",
    "Condition",
    "Decision",
    "Fault",
    "Limits",
    "Match",
    "Mode",
    "NetAdmin",
    "Pause",
    "Policy",
    "Rule",
    "RuleMode",
    "Sweep",
    "Verdict",
    "decide",
    "explain",
    "load",
    "paused",
    "read",
    "read_bytes",
    "read_file",
    "remarks",
]
