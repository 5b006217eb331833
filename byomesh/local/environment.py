"""What the functions are told of their surroundings: the same settings that Terraform gives them, with local values."""

from __future__ import annotations

import dataclasses
import json
import re
import urllib.parse
from pathlib import Path

from byomesh.local.authority import write_private
from byomesh.local.identity import Identity
from shared.mesh.profile import load_profile
from shared.model import known_meshes

LOCATION = "europe-west1"
ROLES = {
    "enable_net_admin": "none",
    "install_mesh": "cluster-admin",
    "verify_mesh": "cluster-viewer-and-patcher",
    "enforce_policy": "pod-viewer",
}
"""What each function's account may do inside clusters, by function."""
_NOBODY = "http://127.0.0.1:9"
"""A proxy that isn't there (discard's port): what would leave this machine ends at once."""
OPERATOR = "operator"
"""The account of whoever works with the local cloud by hand; may do everything."""

_EMAIL = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+){1,8}")
LOG_READERS = ("enforce_policy", OPERATOR)
"""Accounts that have logging.logEntries.list."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Addresses and names of one local cloud.

    Attributes:
        project: the project of topics, queue and secret.
        apis: host:port of the gRPC APIs (GKE, Cloud Tasks, Secret Manager, CA Service, Cloud Logging), all on one port.
        pubsub: host:port of Google's Pub/Sub test server.
        rest: http://host:port of Pub/Sub's REST API, and of Cloud Storage's.
        authority: file of the certificate that vouches for `apis`.
        keys: folder for the accounts' keys.
        helm: the Helm program.
        charts: folder of charts, or "".
        ca_service: whether the fleet trusts the pool, in place of the secret.
        extra: settings that replace these.
    """

    project: str
    apis: str
    pubsub: str
    rest: str
    authority: Path
    keys: Path
    helm: Path
    charts: str
    extra: dict[str, str]
    ca_service: bool = False

    @property
    def queue(self) -> str:
        """Full name of the queue that waits."""
        return f"projects/{self.project}/locations/{LOCATION}/queues/mesh-waits"

    @property
    def work_queue(self) -> str:
        """Full name of the queue of claims."""
        return f"projects/{self.project}/locations/{LOCATION}/queues/mesh-work"

    @property
    def secret(self) -> str:
        """Full name of the trust anchor's secret."""
        return f"projects/{self.project}/secrets/mesh-trust-anchor"

    @property
    def pool(self) -> str:
        """Full name of the pool of CAs."""
        return f"projects/{self.project}/locations/{LOCATION}/caPools/mesh"

    def topic(self, name: str) -> str:
        """Full name of a topic."""
        return f"projects/{self.project}/topics/{name}"

    def account(self, name: str) -> str:
        """E-mail of a service account."""
        return self.email(name, self.project)

    @staticmethod
    def email(name: str, project: str) -> str:
        """E-mail of a service account of some project."""
        return f"{name.replace('_', '-')}@{project}.iam.gserviceaccount.com"

    def of(self, function: str, folder: Path) -> dict[str, str]:
        """A function's whole environment; `folder` is its home and its place for temporary files."""
        return {
            "HOME": str(folder),
            "TMPDIR": str(folder),
            "GOOGLE_CLOUD_PROJECT": self.project,
            "GOOGLE_APPLICATION_CREDENTIALS": str(self.key_file(function)),
            "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(self.authority),
            "PUBSUB_EMULATOR_HOST": self.pubsub,
            "BYOMESH_GKE_ENDPOINT": self.apis,
            "BYOMESH_TASKS_ENDPOINT": self.apis,
            "BYOMESH_SECRET_MANAGER_ENDPOINT": self.apis,
            "BYOMESH_LOGGING_ENDPOINT": self.apis,
            "BYOMESH_PUBSUB_REST_ENDPOINT": self.rest,
            "BYOMESH_STORAGE_ENDPOINT": self.rest,
            "BYOMESH_POLICY_STEP": "1",
            "BYOMESH_QUEUE": self.queue,
            "BYOMESH_WORK_QUEUE": self.work_queue,
            # The queue divides a claim's time by the pace, and nothing that is worked on goes faster by it.
            "BYOMESH_WORK_LIMIT": "36000",
            "BYOMESH_TASKS_SERVICE_ACCOUNT": self.account("mesh-waits"),
            "BYOMESH_PRIVATE_CA_ENDPOINT": self.apis,
            **({"BYOMESH_CA_POOL": self.pool} if self.ca_service else {"BYOMESH_TRUST_ANCHOR_SECRET": self.secret}),
            "BYOMESH_HELM": str(self.helm),
            # A machine of two cores runs three clusters and Helm in far less; a killed worker's Lease ends soon.
            "BYOMESH_HELM_TIMEOUT": "60",
            "BYOMESH_LEASE_DURATION": "75",
            **self._way_out(),
            **({"BYOMESH_CHARTS": self.charts} if self.charts else {}),
            **self.extra,
        }

    def _way_out(self) -> dict[str, str]:
        """Closes the way out of this machine, but for the charts where they come from the meshes' repositories.

        google-auth asks iamcredentials.googleapis.com about every account it gets a token for
        (google/auth/_regional_access_boundary_utils.py), whatever the account's own token_uri says.
        """
        profiles = [] if self.charts else [load_profile(mesh) for mesh in known_meshes()]
        hosts = {urllib.parse.urlsplit(profile.repository).hostname or "" for profile in profiles}
        return {"HTTPS_PROXY": _NOBODY, "NO_PROXY": ",".join(["127.0.0.1", "localhost", *sorted(hosts)])}

    def of_operator(self) -> dict[str, str]:
        """What makes an operator's commands and Google's clients talk to this local cloud."""
        shared = self.of(OPERATOR, self.keys)
        return {key: value for key, value in shared.items() if key not in {"HOME", "TMPDIR", *self._way_out()}}

    def of_person(self, email: str, identity: Identity) -> dict[str, str]:
        """The same for somebody else, whose account is made: audit entries and clusters know them by their e-mail.

        Raises:
            ValueError: that is no e-mail.
        """
        if _EMAIL.fullmatch(email) is None:
            raise ValueError(f"{email!r} is no e-mail: write it as alice@example.com")
        key = identity.add(email, "cluster-admin")
        file = self.keys / f"{email}.json"
        write_private(file, json.dumps(key).encode())
        return {**self.of_operator(), "GOOGLE_APPLICATION_CREDENTIALS": str(file)}

    def key_file(self, function: str) -> Path:
        """Where a function's account key lies."""
        return self.keys / f"{function}.json"

    def write_keys(self, identity: Identity) -> None:
        """Make every account and write the functions' keys, readable by their owner only."""
        for function, role in {**ROLES, OPERATOR: "cluster-admin"}.items():
            key = identity.add(self.account(function), role)
            write_private(self.key_file(function), json.dumps(key).encode())
        identity.add(self.account("mesh-waits"), "none")
