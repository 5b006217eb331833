"""A policy read from its text; every fault is told, with its place and what to write instead; pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from yaml.nodes import MappingNode, Node, SequenceNode

from shared.model import MeshSettings, known_meshes
from shared.policy import fleet, matching, settings
from shared.policy.deciding import NO_MESH, RESERVED
from shared.policy.document import compose
from shared.policy.faults import BadPolicy
from shared.policy.nodes import Entries, Reader, kind, nearest, told
from shared.policy.rules import Match, NetAdmin, Policy, Rule, RuleMode

SCHEMA = 1

_KEYS = ("name", "reason", "match", "mesh", "netAdmin", "mode", *settings.KEYS)
_WHOLE = ("schema", "rules", *fleet.KEYS)
_HINTS = {
    "settings": "write its keys in the rule itself, beside mesh",
    "meshSettings": "write its keys in the rule itself, beside mesh",
    **{key: f"write it under match: {{{key}: …}}" for key in matching.KEYS},
}


def read(text: str, source: str, meshes: Iterable[str] | None = None) -> Policy:
    """Read a policy.

    Args:
        text: the YAML.
        source: what to call it in faults: the file's path, as it was given.
        meshes: the profiles that may be asked for; those that there are where None.

    Raises:
        BadPolicy: it can't be used; with all of its faults.
    """
    root = compose(text, source)
    reader = Reader()
    policy = _Reading(reader, source, frozenset(known_meshes() if meshes is None else meshes)).policy(root)
    faults = tuple(reader.faults)
    if faults:
        raise BadPolicy(source, faults)
    return policy


class _Reading:
    """Reads one policy's nodes."""

    def __init__(self, reader: Reader, source: str, meshes: frozenset[str]) -> None:
        self._reader = reader
        self._source = source
        self._meshes = meshes
        self._lines: dict[str, int] = {}

    def policy(self, root: Node) -> Policy:
        """The policy; incomplete where there are faults."""
        empty = Policy(rules=(), meshes=self._meshes, source=self._source)
        entries = self._reader.entries(root, "the policy")
        if entries is None or not self._schema(root, entries):
            return empty
        self._reader.known(entries, _WHOLE, "a policy", {"pause": "write paused"})
        empty = Policy(**fleet.read_keys(self._reader, entries), rules=(), meshes=self._meshes, source=self._source)
        if "rules" not in entries:
            self._reader.fault(root, "the policy has no rules", "write rules: and a list of them")
            return empty
        listed = entries["rules"][1]
        if not isinstance(listed, SequenceNode):
            self._reader.fault(listed, f"rules is {kind(listed)}, not a list", "write each rule as `- name: …`")
            return empty
        rules = [self._rule(node) for node in listed.value]
        return msgspec.structs.replace(empty, rules=tuple(rule for rule in rules if rule is not None))

    def _schema(self, root: Node, entries: Entries) -> bool:
        """Whether this version can go on to read what the schema is of."""
        if "schema" not in entries:
            self._reader.fault(root, "the policy doesn't say its schema", f"write schema: {SCHEMA} above the rules")
            return True
        node = entries["schema"][1]
        found = self._reader.text(node, "schema")
        if found in (None, str(SCHEMA)):
            return True
        self._reader.fault(
            node, f"the policy has schema {told(found or '')}; this version reads {SCHEMA}", f"write schema: {SCHEMA}"
        )
        return False

    def _rule(self, node: Node) -> Rule | None:
        reader = self._reader
        entries = reader.entries(node, "a rule")
        if entries is None:
            return None
        reader.known(entries, _KEYS, "a rule", _HINTS)
        name = self._name(node, entries)
        match = matching.read_match(reader, entries["match"][1]) if "match" in entries else Match()
        mode = RuleMode(self._choice(entries, "mode", RuleMode) or RuleMode.ENFORCE)
        net_admin = self._choice(entries, "netAdmin", NetAdmin)
        mesh, label = self._mesh(node, entries, match, mode)
        reason = reader.words(entries["reason"][1], "reason") if "reason" in entries else None
        wish: MeshSettings = settings.read_settings(reader, entries)
        return Rule(
            name=name,
            reason=reason or _reason(name, mesh, label, mode),
            match=match,
            mesh=mesh,
            mesh_label=label,
            net_admin=None if net_admin is None else NetAdmin(net_admin),
            mode=mode,
            settings=wish,
            line=node.start_mark.line + 1,
        )

    def _choice(self, entries: Entries, key: str, names: Iterable[str]) -> str | None:
        return self._reader.choice(entries[key][1], names, key) if key in entries else None

    def _name(self, node: Node, entries: Entries) -> str:
        if "name" not in entries:
            self._reader.fault(node, "the rule has no name", "write name: and a name that logs and reports will show")
            return ""
        where = entries["name"][1]
        name = self._reader.words(where, "name")
        if name is None:
            return ""
        if name in RESERVED:
            self._reader.fault(where, f"the name {told(name)} is taken by byomesh itself", "write another name")
        elif name in self._lines:
            problem = f"the name {told(name)} is that of the rule in line {self._lines[name]}"
            self._reader.fault(where, problem, "write another name")
        self._lines.setdefault(name, node.start_mark.line + 1)
        return name

    def _mesh(self, node: Node, entries: Entries, match: Match, mode: RuleMode) -> tuple[str | None, str]:
        """The mesh that the rule names, None for no mesh; and the label that names it instead, or ""."""
        names = (*sorted(self._meshes), NO_MESH)
        if "mesh" not in entries:
            if mode is not RuleMode.OFF:
                self._reader.fault(node, "the rule says no mesh", f"write mesh: and one of {', '.join(names)}")
            return None, ""
        value = entries["mesh"][1]
        if isinstance(value, MappingNode):
            return None, self._mesh_label(value, match)
        mesh = self._reader.text(value, "mesh")
        if mesh is None or mesh == NO_MESH or mesh in self._meshes:
            return (None if mesh == NO_MESH else mesh), ""
        near = nearest(mesh, names)
        remedy = f"write {near}" if near else f"write one of: {', '.join(names)}"
        self._reader.fault(value, f"there is no mesh {told(mesh)}; known: {', '.join(names)}", remedy)
        return None, ""

    def _mesh_label(self, node: Node, match: Match) -> str:
        entries = self._reader.entries(node, "mesh") or {}
        self._reader.known(entries, ("label",), "mesh")
        if "label" not in entries:
            self._reader.fault(node, "mesh is a mapping without label", "write {label: KEY}, or the mesh's name")
            return ""
        value = entries["label"][1]
        label = self._reader.text(value, "mesh.label")
        if label is not None and label not in match.labels:
            remedy = f"write match: {{labels: {{{label}: '*'}}}} in this rule"
            self._reader.fault(value, f"the rule is also for clusters without the label {told(label)}", remedy)
        return label or ""


def _reason(name: str, mesh: str | None, label: str, mode: RuleMode) -> str:
    if mode is RuleMode.OFF:
        return f"the rule {name} leaves it alone"
    if label:
        return f"the rule {name} asks for the mesh that its label {label} names"
    return f"the rule {name} asks for {mesh or 'no mesh'}"
