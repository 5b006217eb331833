"""The PriorityClass that a policy asks for."""

from __future__ import annotations

import pytest

from shared.mesh.linkerd.values import settings_values
from shared.mesh.ownership import is_ours
from shared.mesh.priority_class import VALUE, faults, path_of, to_write
from shared.model import MeshSettings


def test_one_that_is_missing_is_made_as_ours() -> None:
    made = to_write("service-mesh", None)
    assert made is not None
    assert (made["kind"], made["metadata"]["name"], made["value"]) == ("PriorityClass", "service-mesh", VALUE)
    assert is_ours(made["metadata"]["labels"])
    assert made["globalDefault"] is False
    assert 0 < VALUE < 1_000_000_000
    assert path_of("service-mesh").endswith("/priorityclasses/service-mesh")


def test_one_that_is_there_is_taken_as_it_is() -> None:
    assert to_write("service-mesh", {"metadata": {"name": "service-mesh"}, "value": 7}) is None


@pytest.mark.parametrize("name", ["", "mesh", "a.b-c", "x" * 253])
def test_names_that_kubernetes_takes(name: str) -> None:
    assert list(faults(name)) == []


@pytest.mark.parametrize("name", ["system-cluster-critical", "system-mine", "Mesh", "-mesh", "a..b", "x" * 254, "a\n"])
def test_names_that_it_would_not_take_are_faults(name: str) -> None:
    (fault,) = faults(name)
    assert fault.startswith("priorityClass: ")


def test_the_policys_keys_are_the_charts_values() -> None:
    assert settings_values(MeshSettings()) == {}
    assert settings_values(MeshSettings(iptables_mode="legacy", priority_class="mesh")) == {
        "proxyInit": {"iptablesMode": "legacy"},
        "priorityClassName": "mesh",
    }
