"""Types are looked over at import, never by the first requests."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import shared

SOURCES = sorted(Path(shared.__file__).parent.rglob("*.py"))
RUN_TIME = {"kind", "dict", "_Time"}
"""Parameters, and what is no Struct."""


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def decoded(tree: ast.AST) -> set[str]:
    """The types that a module decodes to, by name."""
    found: list[ast.expr] = []
    for function, call in calls(tree):
        if function == "msgspec.convert":
            found.append(call.args[1])
        if function == "msgspec.json.decode":
            found += [keyword.value for keyword in call.keywords if keyword.arg == "type"]
    return {ast.unparse(one).partition("[")[0] for one in found} - RUN_TIME


def prepared(tree: ast.AST) -> set[str]:
    return {ast.unparse(one) for function, call in calls(tree) if function == "prepare" for one in call.args}


def test_every_type_that_is_decoded_is_prepared_by_its_module() -> None:
    trees = {source: ast.parse(source.read_text(encoding="utf-8")) for source in SOURCES}
    assert sum(bool(decoded(tree)) for tree in trees.values()) > 5
    assert {source.name: decoded(tree) - prepared(tree) for source, tree in trees.items() if decoded(tree)} == {
        source.name: set() for source, tree in trees.items() if decoded(tree)
    }
