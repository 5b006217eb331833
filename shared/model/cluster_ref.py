"""One GKE cluster's name."""

from __future__ import annotations

import re
from typing import Self

import msgspec

from shared.errors import Permanent

_CLUSTER_NAME = re.compile(
    r"projects/(?P<project>[a-z0-9.:-]{1,100})/(?:locations|zones|regions)/(?P<location>[a-z0-9-]{1,63})"
    r"/clusters/(?P<name>[a-z0-9-]{1,63})"
)
"""Longer than any name of Google's (a project's has 30 characters, and a domain before; a cluster's 40)."""
_CONTAINER_SERVICE = "//container.googleapis.com/"


class ClusterRef(msgspec.Struct, frozen=True, order=True):
    """One GKE cluster.

    Attributes:
        project: project id, such as `shop-prod`.
        location: region or zone, such as `europe-west1`.
        name: the cluster's own name.
    """

    project: str
    location: str
    name: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a full resource name; `zones/` and `regions/` (as in audit entries) mean the same as `locations/`.

        Raises:
            Permanent: `text` is no cluster's resource name.
        """
        match = _CLUSTER_NAME.fullmatch(text.removeprefix(_CONTAINER_SERVICE))
        if match is None:
            raise Permanent(
                "MalformedCluster",
                f"{text[:200]!r} is not a cluster's resource name",
                remedy="write it as projects/PROJECT/locations/LOCATION/clusters/NAME"
                + ("" if "/" in text else "; `byomesh rerun NAME --project PROJECT` finds a cluster by its name"),
            )
        return cls(match["project"], match["location"], match["name"])

    def __str__(self) -> str:
        return f"projects/{self.project}/locations/{self.location}/clusters/{self.name}"

    @property
    def parent(self) -> str:
        """The location's resource name, `projects/P/locations/L`."""
        return f"projects/{self.project}/locations/{self.location}"
