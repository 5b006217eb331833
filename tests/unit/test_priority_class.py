"""The PriorityClass that a policy asks for."""

from __future__ import annotations

import pytest

from shared.errors import Refused
from shared.mesh.linkerd.priority_class import VALUE, path_of, refuse, to_write
from shared.mesh.linkerd.values import settings_values
from shared.mesh.ownership import is_ours
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
    refuse(name)


@pytest.mark.parametrize("name", ["system-cluster-critical", "system-mine", "Mesh", "-mesh", "a..b", "x" * 254, "a\n"])
def test_names_that_it_would_not_take_are_refused(name: str) -> None:
    with pytest.raises(Refused) as caught:
        refuse(name, "projects/p/locations/l/clusters/c")
    assert (caught.value.reason, caught.value.cluster[-1]) == ("PolicySettingsRefused", "c")


def test_the_policys_keys_are_the_charts_values() -> None:
    assert settings_values(MeshSettings()) == {}
    assert settings_values(MeshSettings(iptables_mode="legacy", priority_class="mesh")) == {
        "proxyInit": {"iptablesMode": "legacy"},
        "priorityClassName": "mesh",
    }
