"""`byomesh policy`: is a policy usable, what would it say of a cluster, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.text import Text

from byomesh.cli.facts import Known, read_facts
from byomesh.cli.output import Format, Output, err, fail, out, print_json, table, told
from byomesh.cli.target import LocationOption, ProjectOption, resolve
from shared import policy, policy_source
from shared.cluster import ClusterFacts
from shared.errors import ByomeshError, Refused
from shared.mesh.profile import load_profile
from shared.mesh.values import refuse
from shared.model import UNDECIDED
from shared.policy import BadPolicy, Fault, Verdict
from shared.stages.consent import no_way

app = typer.Typer(
    no_args_is_help=True,
    help="The policy: which cluster gets which mesh. Its keys are explained in docs/policy.md.",
)

PolicyFile = Annotated[str, typer.Argument(help="The policy's file, or gs://BUCKET/OBJECT.", metavar="FILE")]


def _read(file: str) -> policy.Policy:
    return policy_source.load(file) if policy_source.is_object(file) else policy.read_file(Path(file))


@app.command()
def check(file: PolicyFile, output: Output = Format.TABLE) -> None:
    """Check a policy: every fault as FILE:LINE:COLUMN, what is wrong, and what to write instead.

    Exit status: 0 where it can be used, 1 where it can't, 2 where Cloud Storage doesn't let it be read.
    What is allowed and yet hardly meant is remarked on, and changes no exit status.
    """
    rules = 0
    remarks: tuple[str, ...] = ()
    try:
        rulebook = _read(file)
        rules, remarks, faults = len(rulebook.rules), policy.remarks(rulebook), _refused_settings(rulebook)
    except BadPolicy as error:
        faults = error.faults
    except ByomeshError as error:
        fail(str(error), 2)
    if output is Format.JSON:
        told_faults = [msgspec.to_builtins(fault) for fault in faults]
        print_json(
            {"file": file, "usable": not faults, "rules": rules, "faults": told_faults, "remarks": list(remarks)}
        )
    else:
        for fault in faults:
            out.print(Text.assemble((f"{_at(file, fault)} ", "bold"), f"{fault.problem}; ", (fault.remedy, "green")))
        for remark in remarks:
            out.print(Text.assemble(("remark: ", "yellow"), remark))
        out.print(_summary(file, rules, len(faults)))
    raise typer.Exit(1 if faults else 0)


def _at(file: str, fault: Fault) -> str:
    return f"{file}:{fault.line}:{fault.column}:" if fault.line else f"{file}:"


def _summary(file: str, rules: int, faults: int) -> Text:
    if faults:
        return Text(f"{file} can't be used: {'1 fault' if faults == 1 else f'{faults} faults'}", "red")
    return Text(f"{file} can be used: {'1 rule' if rules == 1 else f'{rules} rules'}", "green")


def _refused_settings(rulebook: policy.Policy) -> tuple[Fault, ...]:
    """The settings that a mesh's profile refuses, which only who knows the profile can find; at the rule's line."""
    faults: list[Fault] = []
    for rule in rulebook.rules:
        for mesh in sorted(rulebook.meshes) if rule.mesh_label else [rule.mesh]:
            try:
                if mesh is not None:
                    refuse(load_profile(mesh), rule.settings)
            except Refused as error:
                problem = f"the rule {rule.name!r} has settings that {mesh} refuses: {error.problem}"
                faults.append(Fault(rule.line, 1, problem, "change them, or leave them out"))
    return tuple(faults)


@app.command("test")
def dry_run(
    file: PolicyFile,
    event: Annotated[
        Path,
        typer.Argument(
            help="The audit entry of a cluster's creation, bare or in an envelope; or facts {cluster, autopilot, "
            "labels, releaseChannel, folders}.",
            metavar="EVENT.json",
        ),
    ],
    output: Output = Format.TABLE,
) -> None:
    """Show what a policy decides about a cluster that was, or might be, created, and which rule it was.

    Only the first of a creation's two audit entries holds what was asked for; what has to be assumed is said.
    """
    with told():
        rulebook = _read(file)
        known = read_facts(event)
    assumed = (*known.assumed, *_assumed_folders(rulebook, known.facts))
    _show(rulebook, msgspec.structs.replace(known, assumed=assumed), output)


def _assumed_folders(rulebook: policy.Policy, facts: ClusterFacts) -> tuple[str, ...]:
    matches = (*(rule.match for rule in rulebook.rules), *(pause.match for pause in rulebook.paused))
    asks = any(match.folders for match in matches)
    words = "the folders above its project are unknown, so nothing with folders matches"
    return (words,) if asks and not facts.folders else ()


@app.command()
def explain(
    cluster: Annotated[str, typer.Argument(help="Its full resource name, or its name where that is unique.")],
    project: ProjectOption = "",
    location: LocationOption = "",
    file: Annotated[
        str,
        typer.Option(
            "--file",
            envvar="BYOMESH_POLICY",
            help="The policy's file, or gs://BUCKET/OBJECT; the built-in policy where none is named.",
        ),
    ] = "",
    output: Output = Format.TABLE,
) -> None:
    """Show what a policy decides about a cluster as it is now: each rule, and each of its conditions."""
    with told():
        rulebook = policy_source.load(file)
        from shared.gke import gke  # noqa: PLC0415 - Google's client is slow to load, and the other commands need none

        with err.status("asking GKE"):
            ref = resolve(cluster, project, location)
            found = gke().get(ref)
    known = Known(
        facts=found.facts,
        allow_net_admin=found.allow_net_admin,
        assumed=_assumed_folders(rulebook, found.facts),
    )
    _show(rulebook, known, output, every_rule=True)


def _show(rulebook: policy.Policy, known: Known, output: Format, *, every_rule: bool = False) -> None:
    decision = policy.decide(known.facts, rulebook)
    verdicts = policy.explain(known.facts, rulebook)
    line = next((one.rule.line for one in verdicts if one.decides), 0)
    refused = _refused(decision, known)
    pause = policy.paused(known.facts, rulebook)
    if output is Format.JSON:
        print_json(
            {
                "policy": rulebook.source,
                "facts": _facts(known.facts),
                "assumed": list(known.assumed),
                **({"note": known.note} if known.note else {}),
                "decision": {**_decision(decision, line), "refused": refused},
                "paused": None if pause is None else {"reason": pause.reason, "line": pause.line},
                **({"rules": [_verdict(one) for one in verdicts]} if every_rule else {}),
            }
        )
        return
    _print_facts(known)
    for one in verdicts if every_rule else ():
        _print_verdict(one)
    if every_rule:
        out.print()
    waits = f"until the pause is taken out ({rulebook.source}:{pause.line}): {pause.reason}" if pause else ""
    _print_decision(decision, f"{rulebook.source}:{line}" if line else rulebook.source, refused, waits)


def _refused(decision: policy.Decision, known: Known) -> str:
    """Why enable_net_admin would refuse what was decided; "" where it wouldn't."""
    if decision.mode is policy.Mode.REFUSE:
        return decision.reason
    if decision.mesh is None:
        return ""
    return no_way(decision, decision.mesh, autopilot=known.facts.autopilot, allowed=known.allow_net_admin)


def _facts(facts: ClusterFacts) -> dict[str, Any]:
    return {
        "cluster": str(facts.cluster),
        "autopilot": facts.autopilot,
        "labels": dict(facts.labels),
        "releaseChannel": facts.release_channel,
        "folders": list(facts.folders),
    }


def _settings(decision: policy.Decision) -> dict[str, Any]:
    """The settings that differ from what holds where nobody says anything."""
    usual = msgspec.to_builtins(UNDECIDED)
    return {key: value for key, value in msgspec.to_builtins(decision.settings).items() if value != usual[key]}


def _decision(decision: policy.Decision, line: int) -> dict[str, Any]:
    return {
        "mode": decision.mode.value,
        "mesh": decision.mesh,
        "netAdmin": decision.net_admin.value,
        "enforced": decision.enforce,
        "reason": decision.reason,
        "rule": decision.rule,
        "line": line,
        "settings": _settings(decision),
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "rule": verdict.rule.name,
        "line": verdict.rule.line,
        "matches": verdict.matches,
        "decides": verdict.decides,
        "conditions": [
            {"key": one.key, "wanted": list(one.wanted), "found": list(one.found), "holds": one.holds}
            for one in verdict.conditions
        ],
    }


def _print_facts(known: Known) -> None:
    facts = known.facts
    kind = "Autopilot" if facts.autopilot else "Standard"
    labels = ", ".join(f"{key}={value}" for key, value in sorted(facts.labels.items())) or "no labels"
    out.print(Text(f"{facts.cluster}: {kind}, {labels}, channel {facts.release_channel}"))
    for one in known.assumed:
        out.print(Text.assemble(("assumed: ", "yellow"), one))
    if known.note:
        out.print(Text.assemble(("note: ", "yellow"), known.note))
    out.print()


def _print_verdict(verdict: Verdict) -> None:
    if verdict.decides:
        mark, style, words = "→", "green", "decides"
    elif verdict.matches:
        mark, style, words = "·", "", "matches, but another decided before it"
    else:
        mark, style, words = "·", "dim", "doesn't match"
    out.print(Text.assemble((f"{mark} {verdict.rule.name}", f"bold {style}"), (f": {words}", style)))
    if not verdict.conditions:
        out.print(Text("    it is for every cluster", style))
    for one in verdict.conditions:
        out.print(Text.assemble("    ", _MARKS[one.holds], str(one)))


_MARKS = {True: ("√ ", "green"), False: ("× ", "red")}  # noqa: RUF001 - as `byomesh check` has them
_WORDS = {
    policy.Mode.INSTALL: "gets a mesh",
    policy.Mode.AUDIT: "is only reported on: the rule would give it a mesh",
    policy.Mode.IGNORE: "is left alone",
    policy.Mode.OPT_OUT: "gets no mesh, whoever asks for one",
    policy.Mode.REFUSE: "is refused",
}


def _print_decision(decision: policy.Decision, where: str, refused: str, waits: str) -> None:
    mode = policy.Mode.REFUSE if refused and decision.enforce else decision.mode
    rows = table("DECISION", f"it {_WORDS[mode]}")
    rows.add_row("mesh", decision.mesh or "none")
    rows.add_row("netAdmin", decision.net_admin.value)
    rows.add_row("rule", Text(f"{decision.rule} ({where})"))
    rows.add_row("reason", Text(decision.reason))
    if refused and decision.mode is not policy.Mode.REFUSE:
        rows.add_row("refused", Text(refused, "red"))
    if waits:
        rows.add_row("waits", Text(waits, "yellow"))
    for key, value in _settings(decision).items():
        rows.add_row(key, Text(str(value).lower() if isinstance(value, bool) else str(value)))
    out.print(rows)
