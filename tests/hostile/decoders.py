"""What is decoded beside the functions' own requests: each target makes one input of a `Random`, and decodes it.

A target ends with a value, or with an error that says what to do; `Temporary` only where an API server, Google's API or
Helm itself answered what can't be read. Anything else is a fault.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import gzip
import io
import json
import tarfile
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

import msgspec
import yaml
from google.cloud import container_v1
from google.protobuf import json_format

from byomesh.cli import facts, judging
from shared import kube_errors, model, policy, telemetry
from shared.config import Settings, read_settings
from shared.errors import ByomeshError, Permanent, Refused, Temporary
from shared.gke.reading import read_cluster
from shared.helm import failure
from shared.helm.program import Helm
from shared.mesh import adoption, charts, lease, quantity, releases, stored, versions
from shared.mesh.fold import cidrs
from shared.mesh.fold.pem import public_half
from shared.mesh.linkerd import certificates, checks, repairs, secrets, trust
from shared.mesh.observe import from_objects
from shared.mesh.profile import parse_profile
from shared.mesh.upgrade_record import UpgradeRecord
from shared.model import ClusterRef
from tests.hostile import samples
from tests.hostile.mutations import TEXTS, as_text, broken, mutated
from tests.hostile.requests import REQUESTS, entries
from tests.hostile.served import MAX_STATUS, Verdict
from tests.unit import cluster_objects
from tests.unit.doors import EU1, NOW, SETTINGS, release_secret
from tests.unit.memory_kube import MemoryKube

Decoder = Callable[[Random], object]


def taken(decoder: Decoder, random: Random) -> Verdict:
    """What became of one input."""
    begun = time.perf_counter()
    faults: tuple[str, ...] = ()
    try:
        decoder(random)
        answer = "read"
    except (Permanent, Refused, Temporary) as error:
        answer = next(kind.__name__ for kind in (Permanent, Refused, Temporary) if isinstance(error, kind))
        faults = tuple(_told_badly(error))
    except (cidrs.NetworksError, trust.PemError):
        answer = "said why"
    except Exception as error:  # noqa: BLE001 - that is the question
        answer = type(error).__name__
        frames = traceback.extract_tb(error.__traceback__)[-3:]
        where = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames))
        faults = (f"{type(error).__name__} at {where}: {str(error)[:100]}",)
    return Verdict(answer, time.perf_counter() - begun, faults)


def _told_badly(error: ByomeshError) -> list[str]:
    words = str(error)
    bad = [] if error.reason.isidentifier() else [f"the reason {error.reason[:100]!r}"]
    try:
        words.encode()
    except UnicodeEncodeError:
        bad.append(f"{error.reason}: words that no UTF-8 can hold")
    return [*bad, *([f"{error.reason}: {len(words)} characters"] if len(words) > MAX_STATUS else [])]


def _yaml(tree: Any, random: Random) -> str:
    """A tree as YAML, mutated as a tree or as text; now and then something that means harm."""
    if random.random() < 0.05:
        return random.choice(samples.BOMBS)
    if random.random() < 0.6:
        tree = mutated(tree, random)
    with contextlib.suppress(yaml.YAMLError, UnicodeError, RecursionError, ValueError):
        text = yaml.safe_dump(tree, allow_unicode=random.random() < 0.5)
        return text if random.random() < 0.6 else _garbled(text, random)
    return as_text(tree, random).decode(errors="replace")


def _garbled(text: str, random: Random) -> str:
    return broken(text.encode(errors="surrogatepass"), random).decode(errors="surrogateescape")


def _policy(random: Random) -> object:
    return policy.read(_yaml(samples.POLICY, random), "policy.yaml")


def _messages(random: Random) -> object:
    kind = random.choice((model.InstallRequest, model.VerifyRequest, model.MeshStatus))
    return model.decode(as_text(mutated(random.choice(REQUESTS), random), random), kind)


def _release(random: Random) -> object:
    tree = mutated(samples.RELEASE, random) if random.random() < 0.7 else samples.RELEASE
    if random.random() < 0.1:
        tree = {**samples.RELEASE, "manifest": random.choice(samples.BOMBS)}
    text = as_text(tree, random)
    packed = samples.ZIPPED_BOMB if random.random() < 0.01 else gzip.compress(text, 1)
    packed = broken(packed, random) if random.random() < 0.2 else packed
    data = base64.b64encode(base64.b64encode(packed)).decode()
    secret = release_secret("linkerd-control-plane", 3, "deployed", chart={}, values={}, manifest="")
    secret["metadata"]["namespace"] = "linkerd"
    secret = {**secret, "data": {"release": data}}
    secret = secret if random.random() < 0.7 else mutated(secret, random)
    if not isinstance(secret, dict) or not _is_secret(secret):
        return None
    found = releases.newest([secret])
    releases.last_deployed([secret])
    if found and len(text) < MAX_STATUS:
        obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "linkerd"}}
        stored.replaced(stored.unpacked(secret).get("manifest", ""), [obj])
    return found


def _is_secret(secret: Mapping[str, Any]) -> bool:
    """Whether the API server would have let it be."""
    metadata = secret.get("metadata")
    labels = metadata.get("labels", {}) if isinstance(metadata, dict) else None
    data = secret.get("data", {})
    return (
        isinstance(labels, dict)
        and isinstance(data, dict)
        and all(isinstance(one, str) for one in (*labels.values(), *data.values()))
    )


def _networks(random: Random) -> object:
    text = _garbled(samples.NETWORKS, random) if random.random() < 0.8 else random.choice(TEXTS)
    return cidrs.parse(text).covers(random.choice(TEXTS))


def _config_text(random: Random) -> str:
    tree = yaml.safe_load(samples.LINKERD_CONFIG)
    return _yaml(tree, random)


def _config(random: Random) -> object:
    text = _config_text(random)
    return repairs.networks_in(text), repairs.config_map_patch(
        {"metadata": {"namespace": "linkerd", "name": "x", "resourceVersion": "1"}, "data": {"values": text}},
        samples.NETWORKS,
    )


_OBJECTS = cluster_objects.objects()


def _snapshot(random: Random) -> object:
    found = list(_OBJECTS)
    for _ in range(random.randrange(1, 4)):
        at = random.randrange(len(found))
        one: Any = found[at]
        if one["metadata"]["name"] == "linkerd-config" and random.random() < 0.8:
            found[at] = {**one, "data": {"values": _config_text(random)}}
        elif one["kind"] == "Secret" and random.random() < 0.8:
            data = {key: _pem64(value, random) for key, value in one["data"].items()}
            found[at] = {**one, "data": data}
        else:
            changed = mutated(one, random)
            if _is_object(changed):
                found[at] = changed
    try:
        seen = from_objects(found)
    except Temporary as error:
        # What the API server itself would never have let in.
        raise Permanent("BadSnapshot", error.problem) from error
    report = checks.run(seen, cluster_objects.NOW, expected_version=cluster_objects.VERSION)
    summary = model.CheckSummary.of(report)
    status = model.MeshStatus(
        cluster=EU1, phase=model.Phase.DEGRADED, reason="ChecksFailed", message="m", checks=summary
    )
    return len(model.encode(status)), checks.render(report)


def _is_object(one: Any) -> bool:
    with contextlib.suppress(msgspec.ValidationError, UnicodeError):
        msgspec.convert(one, judging._Identified)
        msgspec.json.encode(one)
        return isinstance(one["metadata"].get("namespace", ""), str)
    return False


def _pem64(value: str, random: Random) -> str:
    """A certificate or key in base64, most often changed in its DER."""
    if random.random() < 0.3:
        return value
    text = base64.b64decode(value).decode()
    return base64.b64encode(_pem(text, random).encode(errors="surrogateescape")).decode()


def _pem(text: str, random: Random) -> str:
    head, _, rest = text.partition("-----\n")
    body, _, tail = rest.partition("-----END")
    if random.random() < 0.3 or not tail:
        return _garbled(text, random)
    der = bytearray(base64.b64decode(body))
    for _ in range(random.choice((1, 1, 2, 5))):
        der[random.randrange(len(der))] = random.randrange(256)
    return f"{head}-----\n{base64.b64encode(bytes(der)).decode()}\n-----END{tail}"


def _pems() -> list[str]:
    found = [one for one in _OBJECTS if one["kind"] == "Secret"]
    return [base64.b64decode(value).decode() for one in found for value in one["data"].values()]


_PEMS = _pems()
_PAYLOAD = certificates.encode_anchor(certificates.new_anchor_payload(cluster_objects.NOW))


def _certificates(random: Random) -> object:
    text = _pem(random.choice(_PEMS), random)
    public_half(text.encode(errors="surrogateescape"))
    found = trust.read_certificates(text)
    for one in found:
        trust.common_name(one), trust.anchor_algorithm_fault(one), trust.issuer_algorithm_fault(one)
        trust.listed(one, trust.validity_fault(one, NOW))
    return certificates.certificates_of(text, "a text")


def _payload(random: Random) -> object:
    tree = json.loads(_PAYLOAD)
    if random.random() < 0.5:
        tree["trust_anchors"] = _pem(tree["trust_anchors"], random)
    return certificates.decode_anchor(as_text(mutated(tree, random) if random.random() < 0.5 else tree, random))


def _secrets(random: Random) -> object:
    kept = {one["metadata"]["name"]: one for one in _OBJECTS if one["kind"] == "Secret"}
    for name, secret in kept.items():
        data = {key: _pem64(value, random) for key, value in secret["data"].items()}
        changed = mutated({**secret, "data": data}, random) if random.random() < 0.3 else {**secret, "data": data}
        kept[name] = changed if isinstance(changed, dict) and _is_secret(changed) else secret
    return secrets.kept_issuer(kept, random.choice(_PEMS))


def _kept(random: Random) -> object:
    """What byomesh itself keeps in a cluster, rewritten by somebody: its Lease and its ConfigMaps."""
    times = (*TEXTS[29:34], "2026-05-04T09:00:00.000000Z", "9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00.000000Z")
    held = {"holderIdentity": "x", "leaseDurationSeconds": random.choice((0, 1, 300, 2**31 - 1))}
    lease.expires_in({"spec": {**held, "renewTime": random.choice(times)}}, NOW)
    upgrade = {"version": "2026.6.3", "charts": "c", "from_version": "v", "cause": "c", "request_id": "r"}
    data = {
        random.choice(("upgrade", "failed", "linkerd-crds")): as_text(mutated(upgrade, random), random).decode(
            errors="replace"
        )
    }
    adoption.kept_values({"data": data})
    kube = MemoryKube()
    metadata = {"name": "byomesh-upgrade", "namespace": "byomesh-system"}
    kube.put("/api/v1/namespaces/byomesh-system/configmaps/byomesh-upgrade", {"metadata": metadata, "data": data})
    return UpgradeRecord(kube).memory


def _gke(random: Random) -> object:
    found = container_v1.Cluster.pb(container_v1.Cluster())
    if random.random() < 0.2:
        with contextlib.suppress(Exception):
            found.ParseFromString(broken(_proto({}).SerializeToString(), random))
    else:
        found = _proto(mutated(samples.CLUSTER, random))
    with warnings.catch_warnings():
        # The library says so of each enum value that is newer than it is.
        warnings.filterwarnings("ignore", "Unrecognized")
        cluster = read_cluster(EU1, container_v1.Cluster.wrap(found))
    return cluster, policy.decide(cluster.facts)


def _proto(tree: Any) -> Any:
    """The message of a tree, as far as it can be one."""
    made = container_v1.Cluster.pb(container_v1.Cluster())
    for key, value in (tree or samples.CLUSTER).items() if isinstance(tree, dict) else ():
        with contextlib.suppress(
            json_format.Error, ArithmeticError, ValueError, TypeError, RecursionError, SystemError
        ):
            json_format.ParseDict({key: value}, made, ignore_unknown_fields=True)
    return made


_ENTRIES = entries()


def _facts(random: Random) -> object:
    sample: Any = random.choice(
        (*_ENTRIES, {"cluster": str(EU1), "autopilot": True, "labels": {"a": "b"}, "folders": ["f"]})
    )
    body = as_text(mutated(sample, random), random)
    if random.random() < 0.3:
        body = as_text({"message": {"data": base64.b64encode(body).decode()}}, random)
    with tempfile.NamedTemporaryFile() as file:
        file.write(body)
        file.flush()
        known = facts.read_facts(Path(file.name))
    return policy.decide(known.facts)


def _recorded(random: Random) -> object:
    """The file of `byomesh check --snapshot`."""
    few = random.sample(_OBJECTS, 3)
    tree = {"now": "2026-11-23T12:00:00Z", "expectedVersion": "edge-26.8.3", "objects": few}
    with tempfile.NamedTemporaryFile() as file:
        file.write(as_text(mutated(tree, random), random))
        file.flush()
        report = judging.of_recorded(Path(file.name), "", proxy=random.random() < 0.5)
    return judging.as_linkerd_has_it(report)


def _chart(random: Random) -> object:
    chart = _yaml(
        {"apiVersion": "v2", "name": "linkerd-crds", "version": "2026.6.3", "appVersion": "edge-26.6.3"}, random
    )
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "linkerd-crds-2026.6.3.tgz"
        content = _archive(chart.encode(errors="surrogateescape"), random)
        if random.random() < 0.01:
            content = samples.ZIPPED_BOMB
        archive.write_bytes(broken(content, random) if random.random() < 0.3 else content)
        found = charts.read_chart(archive)
        charts.chart_values(archive)
        with mock_kept(Path(folder)):
            charts.chart_without(found, "part", ["templates/x.yaml"])
        outside = [one for one in Path(folder).iterdir() if one.name.startswith("evil")]
        assert not outside, outside
    return found


@contextlib.contextmanager
def mock_kept(folder: Path) -> Iterator[None]:
    """Have charts kept in a folder of the test's own."""
    kept = folder / "kept"
    kept.mkdir()
    with mock.patch.object(charts, "_kept", return_value=kept):
        yield


_ELSEWHERE = ("../evil", "/evil-byomesh", "linkerd-crds/../../evil", "a/b/c/" * 50, "x\ny")


def _archive(chart: bytes, random: Random) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz", compresslevel=1) as archive:
        names = ["linkerd-crds/Chart.yaml", "linkerd-crds/values.yaml", "linkerd-crds/templates/x.yaml"]
        names += [random.choice(_ELSEWHERE)] if random.random() < 0.3 else []
        for name in names:
            member = tarfile.TarInfo(name)
            content = chart if name.endswith("Chart.yaml") else b"a: 1\n" * random.choice((1, 1, 1, 100))
            if random.random() < 0.1:
                member.type = random.choice((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE))
                member.linkname = random.choice(("/etc/passwd", "../../evil", "linkerd-crds/Chart.yaml"))
                content = b""
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return made.getvalue()


_PROFILE = yaml.safe_load((Path(__file__).parents[2] / "shared" / "mesh" / "profiles" / "linkerd.yaml").read_text())


def _profile(random: Random) -> object:
    return parse_profile(_yaml(_PROFILE, random), "linkerd.yaml")


def _settings(random: Random) -> object:
    fields = [field.metadata["variable"] for field in dataclasses.fields(Settings)]
    values = (*TEXTS, "nan", "inf", "-inf", "1e309", "-1", "1_0", "projects/p/locations/l/caPools/c")
    return read_settings({name: random.choice(values) for name in random.sample(fields, 3)})


def _small(random: Random) -> object:
    """Texts that are read by themselves."""
    texts = [random.choice(TEXTS), _garbled("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", random)]
    texts += [_garbled("edge-26.6.3", random), _garbled("100m", random), "1e999999999", "9" * 5_000, "1." * 3_000]
    for one in texts:
        telemetry.Trace.parse(one)
        quantity.same_quantity(one, random.choice(texts))
        versions.is_older(one, random.choice(texts))
        with contextlib.suppress(Permanent):
            ClusterRef.parse(one)
    return None


def _answers(random: Random) -> object:
    """What Helm and an API server say where they say no, and what Helm says of a release."""
    words = _garbled(samples.STDERR, random)
    secret = ("s3cret", "-----BEGIN")
    told = failure.read_failure(words, code=random.choice((1, -9)), secrets=secret, cluster=str(EU1), tried="helm")
    body = as_text(mutated(samples.STATUS, random), random)
    answer = kube_errors.from_response(random.choice((400, 403, 404, 409, 410, 422, 429, 500)), body, tried="GET /x")
    for error in (told, answer):
        assert not _told_badly(error), _told_badly(error)
    return Helm(SETTINGS)._release(as_text(mutated(samples.RELEASE, random), random), "helm upgrade")


DECODERS: dict[str, Decoder] = {
    "answers": _answers,
    "certificates": _certificates,
    "chart": _chart,
    "config": _config,
    "facts": _facts,
    "gke": _gke,
    "kept": _kept,
    "messages": _messages,
    "networks": _networks,
    "payload": _payload,
    "policy": _policy,
    "profile": _profile,
    "recorded": _recorded,
    "release": _release,
    "secrets": _secrets,
    "settings": _settings,
    "small": _small,
    "snapshot": _snapshot,
}
"""Every target, by its name."""
