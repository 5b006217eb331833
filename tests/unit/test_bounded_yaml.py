from __future__ import annotations

import pytest
import yaml

from shared import bounded_yaml
from tests.hostile.samples import BOMBS


@pytest.mark.parametrize("text", [one for one in BOMBS if "binary" not in one])
def test_what_means_harm_is_no_yaml(text: str) -> None:
    with pytest.raises(yaml.YAMLError):
        bounded_yaml.load(text)
    with pytest.raises(yaml.YAMLError):
        bounded_yaml.load_all(f"a: 1\n---\n{text}")


@pytest.mark.parametrize(
    "text",
    [
        "a: 1",
        "a: &x {b: [1, 2]}\nc: *x\nd: [*x, *x]",
        "rule: '*'\ntext: |\n  see *this*\n  and [that\nschedule: 5 4 * * *",
        "\n".join(" " * depth + "a:" for depth in range(90)),
        "[" * 90 + "]" * 90,
        "- - - - - - a",
        "a: {}\nb: []\n" + "".join(f"k{n}: {{x: [1]}}\n" for n in range(200)),
        "a: &x 1\n---\na: &x [1]",
    ],
)
def test_what_is_yaml_is_read_as_ever(text: str) -> None:
    assert bounded_yaml.load_all(text) == tuple(yaml.safe_load_all(text))


def test_nesting_is_counted_to_the_last() -> None:
    deepest = bounded_yaml.MAX_DEPTH
    assert bounded_yaml.load("[" * deepest + "]" * deepest) is not None
    with pytest.raises(bounded_yaml.TooMuchYaml, match="deeper than 100"):
        bounded_yaml.load("[" * (deepest + 1) + "]" * (deepest + 1))


def test_aliases_may_unfold_to_so_much() -> None:
    many = f"a: &a [{'x, ' * 999}x]\nb: [{{}}]"
    assert bounded_yaml.load(many.format(", ".join(["*a"] * 90)))
    with pytest.raises(bounded_yaml.TooMuchYaml, match="unfold to more"):
        bounded_yaml.load(many.format(", ".join(["*a"] * 110)))


def test_a_text_may_be_so_long() -> None:
    with pytest.raises(bounded_yaml.TooMuchYaml, match="more than"):
        bounded_yaml.load(" " * (bounded_yaml.MAX_SIZE + 1))
