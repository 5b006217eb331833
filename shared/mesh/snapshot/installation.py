"""What an installation of a mesh consists of besides its workloads: configuration, certificates, CRDs, webhooks."""

from __future__ import annotations

from typing import Any

import msgspec


class Crd(msgspec.Struct, frozen=True):
    """A CustomResourceDefinition.

    Attributes:
        name: such as `servers.policy.linkerd.io`.
        versions: names of spec.versions, in order.
        labels, annotations: as in its metadata.
    """

    name: str
    versions: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class Requirement(msgspec.Struct, frozen=True):
    """matchExpressions[] of a label selector; operator is In, NotIn, Exists or DoesNotExist."""

    key: str
    operator: str
    values: tuple[str, ...] = ()


class LabelSelector(msgspec.Struct, frozen=True, rename="camel"):
    """A label selector; an empty one selects everything."""

    match_labels: dict[str, str] = {}
    match_expressions: tuple[Requirement, ...] = ()


class Webhooks(msgspec.Struct, frozen=True):
    """A mutating or validating webhook configuration.

    Attributes:
        name: its name.
        ca_bundles: clientConfig.caBundle of each webhook as PEM, "" where it has none.
        labels: as in its metadata.
        namespace_selectors, object_selectors: of each webhook.
    """

    name: str
    ca_bundles: tuple[str, ...]
    labels: dict[str, str] = {}
    namespace_selectors: tuple[LabelSelector, ...] = ()
    object_selectors: tuple[LabelSelector, ...] = ()


class PublicKey(msgspec.Struct, frozen=True):
    """The public half of a private key that a Secret holds; the private half stays behind.

    Attributes:
        spki: DER SubjectPublicKeyInfo; b"" where the key can't be read.
        fault: why it can't, else "".
    """

    spki: bytes = b""
    fault: str = ""


class Credential(msgspec.Struct, frozen=True):
    """The public part of a TLS Secret.

    Attributes:
        secret: the Secret's name.
        certificates: its entries that are certificates, as PEM, by key (`tls.crt`, `crt.pem`, `ca.crt`).
        keys: the public halves of its entries that are private keys, by key (`tls.key`, `key.pem`).
    """

    secret: str
    certificates: dict[str, str] = {}
    keys: dict[str, PublicKey] = {}


class MeshConfig(msgspec.Struct, frozen=True, kw_only=True):
    """ConfigMap linkerd-config.

    Attributes:
        uid: its UID, which is the installation's own id.
        resource_version: for a conditional write.
        values: the chart's values, private keys taken out; None where there are none, with `fault` saying why.
        fault: "" or why `values` is None, in the words of `linkerd check` as far as it has any.
        networks: clusterNetworks as it is written; None where `values` is None.
        labels, annotations: as in its metadata (Helm's ownership is there).
        managers: metadata.managedFields[].manager, without duplicates, in order.
    """

    uid: str
    resource_version: str
    values: dict[str, Any] | None = None
    fault: str = ""
    networks: str | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    managers: tuple[str, ...] = ()

    @property
    def version(self) -> str:
        """The control plane's version; "" where the values don't tell."""
        return str((self.values or {}).get("linkerdVersion") or "")

    @property
    def proxy_version(self) -> str:
        """The version that the injector gives a new proxy (charts/partials/templates/_proxy.tpl); "" where unknown."""
        proxy = (self.values or {}).get("proxy")
        image = proxy.get("image") if isinstance(proxy, dict) else None
        own = image.get("version") if isinstance(image, dict) else None
        return str(own or self.version)


class Overrides(msgspec.Struct, frozen=True):
    """Secret linkerd-config-overrides, which a CLI installation reads at its next upgrade; nothing else of it is kept.

    Attributes:
        resource_version: for a conditional write.
        networks: clusterNetworks as overridden; None where it isn't.
    """

    resource_version: str
    networks: str | None = None


class Cni(msgspec.Struct, frozen=True):
    """What linkerd-cni has in the cluster, where the values say that it is used.

    Attributes:
        config, cluster_role, cluster_role_binding, service_account: whether each exists.
        scheduled, ready: the DaemonSet's status numbers; None where there is no DaemonSet.
    """

    config: bool = False
    cluster_role: bool = False
    cluster_role_binding: bool = False
    service_account: bool = False
    scheduled: int | None = None
    ready: int | None = None
