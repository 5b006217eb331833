"""One mesh on one cluster: profile and hooks made into a desired state, and that held against the cluster."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import msgspec

from shared import gke
from shared.config import Settings
from shared.errors import Refused
from shared.helm import Helm
from shared.kube import Kube
from shared.mesh import pulls, readiness
from shared.mesh.charts import Chart
from shared.mesh.choosing import Charts, Choice, held
from shared.mesh.contents import foreign_objects
from shared.mesh.hooks import Prepared, TrustStore, install_hooks, verify_hooks
from shared.mesh.installation import read_namespace, with_drift
from shared.mesh.naming import taken_back
from shared.mesh.ownership import is_ours
from shared.mesh.parts import Parts
from shared.mesh.plan import (
    Desired,
    DesiredRelease,
    Installation,
    Kind,
    Plan,
    RunHelm,
    differing_keys,
    joined,
    make_plan,
    removal,
    untouched,
    wished,
)
from shared.mesh.profile import ExtensionProfile, Profile, ReleaseProfile
from shared.mesh.take_over import TakeOver
from shared.mesh.upgrade import identity
from shared.mesh.values import merged, refuse
from shared.mesh.versions import NOBODY, FailedUpgrade, Wish, why_kept
from shared.mesh.wanted import at_its_version, desired_release, images_of
from shared.model import UNDECIDED, CheckReport, MeshSettings, Repair


class Mesh:
    """A mesh to be brought about on one cluster.

    Attributes:
        desired: what should be there, extensions left out; set by `plan`.
        extensions: those extensions that should be there, in order; set by `plan`.
        version: the mesh's version as its charts tell it; set by `plan`.
        charts: what tells the wished charts from others, though another version may be kept; set by `plan`.
        kept: why another version than the wished one is kept, in a sentence; "" where it isn't; set by `plan`.
    """

    desired: Desired
    extensions: tuple[Desired, ...]
    version: str
    charts: str
    kept: str

    def __init__(
        self,
        profile: Profile,
        cluster: gke.Cluster,
        kube: Kube,
        helm: Helm,
        settings: Settings,
        store: TrustStore,
        clock: Callable[[], dt.datetime],
        wish: MeshSettings = UNDECIDED,
    ) -> None:
        self._profile = profile
        self._cluster = cluster
        self._kube = kube
        self._helm = helm
        self._settings = settings
        self._store = store
        self._clock = clock
        self._wish = wish
        self._charts = Charts(profile, settings, helm)
        self._parts = Parts(kube)
        self._take_over = TakeOver(profile, cluster, kube, helm, adopt=wish.adopt)
        self.extensions = ()
        self.version = profile.version

    def plan(
        self,
        version: str | None = None,
        *,
        request: Wish = NOBODY,
        failed: FailedUpgrade | None = None,
        repairs: tuple[Repair, ...] = (),
    ) -> Plan:
        """Look at the cluster and decide what to do; sets `desired`, `extensions`, `version`, `charts` and `kept`.

        Args:
            version: the mesh's version, where another than the policy's or the profile's is asked for.
            request: who asks for it; a wish that names no version merely follows from something else.
            failed: the upgrade that was rolled back last.
            repairs: what a verification found to be broken; objects of these repairs are taken back from whoever
                changed them.

        Raises:
            Temporary: an API or the chart repository can't answer now.
            Permanent: the charts or the certificates can't be used.
            Refused: the policy's settings can't be carried out.
        """
        refuse(self._profile, self._wish, str(self._cluster.ref))
        profile, version = self._profile, version or self._wish.version
        there = read_namespace(self._kube, profile.namespace.name, profile.marker)
        owned = self._take_over.owned(there)
        if owned is not None and owned.version and not self._settings.charts:
            # An upgrade comes afterwards, when there is a way back.
            version = owned.version
        self.kept = self._why_kept(there, version, request, failed)
        prepared = install_hooks(profile).prepare(
            self._kube, profile, self._cluster, self._store, self._clock(), self._wish
        )
        choices = [self._choose(one, version, there, prepared, profile.namespace.name) for one in profile.releases]
        releases = tuple(choice.release for choice in choices)
        self.version = releases[-1].chart.app_version or version or profile.version
        self.desired = Desired(
            namespace=profile.namespace.name,
            labels=profile.namespace.labels,
            # A certificate goes with the values that tell who signed it.
            secrets=() if any(choice.holds_values for choice in choices) else prepared.secrets,
            objects=prepared.objects,
            releases=releases,
            ours=self.ours(prepared) + taken_back(repairs),
            annotations=profile.namespace.annotations,
            taken_over=owned is not None or self._take_over.begun,
        )
        there = with_drift(self._kube, there, profile.namespace.name, releases, profile.platform_owned)
        plan = make_plan(there, self.desired, adopt=self._wish.adopt)
        if owned is not None and not (plan.kind is Kind.REFUSE or self._take_over.begun):
            self._take_over.refuse(owned, there, self.desired)
            plan = self._take_over.remembering(plan, owned)
        self.extensions = ()
        if plan.kind is Kind.REFUSE:
            return plan
        notes = tuple(note for note in (self.kept, *(choice.note for choice in choices), *prepared.waits_for) if note)
        plan = msgspec.structs.replace(plan, notes=plan.notes + notes)
        plan = joined(plan, [self._plan_extension(extension, version, plan) for extension in profile.extensions])
        self._refuse_images_outside(plan)
        return plan

    def _refuse_images_outside(self, plan: Plan) -> None:
        """Refuse to install what the cluster may be unable to pull: images outside the registry that is wished."""
        registry = self._wish.images.registry
        runs = [step for step in plan.steps if isinstance(step, RunHelm)] if registry else []
        named = {release.name: release for release in (*self._profile.releases, *self._profile.extensions)}
        found = pulls.together(
            pull for run in runs for pull in images_of(self._helm, named[run.release.name], run.release, run.namespace)
        )
        outside = pulls.outside(found, registry, self._wish.values)
        if outside:
            raise Refused(
                "ImagesOutsideRegistry",
                f"not from {registry}: {'; '.join(one.words for one in outside)}",
                cluster=str(self._cluster.ref),
                tried="to bring every image from the registry that the policy names, by the charts' values",
                remedy="name the image in the policy's values of the release, wherever it is to come from",
            )

    def _why_kept(self, there: Installation, version: str | None, request: Wish, failed: FailedUpgrade | None) -> str:
        wished_charts = [self._charts.find(release, version) for release in self._profile.releases]
        self.charts = identity(wished_charts)
        main = there.releases.get(self._profile.releases[-1].name)
        installed = main.version if main is not None and main.status == "deployed" else ""
        by_operator = bool(self._wish.version or self._settings.charts)
        asking = msgspec.structs.replace(request, by_operator=by_operator)
        return why_kept(installed, wished_charts[-1].version, self.charts, asking, failed)

    def _choose(
        self, release: ReleaseProfile, version: str | None, there: Installation, prepared: Prepared, namespace: str
    ) -> Choice:
        """What a release should be: as wished, as it is where its version is kept, or held where it can't be either."""
        deployed = there.releases.get(release.name)
        as_wished = self._desired_release(release, self._charts.find(release, version), prepared)
        if deployed is None or deployed.status != "deployed":
            return Choice(as_wished)
        if self.kept:
            chart = self._charts.deployed(release, deployed)
            if chart is not None:
                return Choice(at_its_version(release, self._desired_release(release, chart, prepared), deployed))
            differing = ", ".join(sorted(differing_keys(deployed.values, as_wished.values)))
            waits = f"values of {release.name} ({differing}) wait for its chart {deployed.version} to be at hand"
            return Choice(held(deployed), waits if differing else "", bool(differing))
        lost = self._charts.lost(self._kube, as_wished, deployed, namespace)
        if lost:
            why = f"release {release.name} stays at {deployed.version}, for going back would lose {', '.join(lost)}"
            return Choice(held(deployed), why)
        return Choice(as_wished)

    def ours(self, prepared: Prepared | None = None) -> tuple[tuple[str, str, str], ...]:
        """The fields that may be taken back from others, as `Desired.ours`; raises as `plan` does."""
        if prepared is None:
            prepared = install_hooks(self._profile).prepare(
                self._kube, self._profile, self._cluster, self._store, self._clock(), self._wish
            )
        return prepared.ours + self._platforms()

    def look(self) -> tuple[CheckReport, str]:
        """What the checks say of the mesh now, and what of it isn't ready; raises Temporary."""
        hooks = verify_hooks(self._profile)
        seen = hooks.look(self._kube, self._profile, self._cluster, self._clock(), None, self._wish)
        return seen.report, readiness.look(self._kube, self._profile)

    @property
    def releases(self) -> tuple[DesiredRelease, ...]:
        """All releases that should be there, the extensions' too."""
        return tuple(release for part in (self.desired, *self.extensions) for release in part.releases)

    def _plan_extension(self, extension: ExtensionProfile, version: str | None, mesh: Plan) -> Plan:
        namespace = extension.namespace.name
        there = read_namespace(self._kube, namespace, extension.marker)
        option = self._wish.options.get(extension.option) if extension.option else True
        if there.foreign and not (option and self._wish.adopt):
            return untouched(extension.name, there) if option is not None else Plan(kind=Kind.NOTHING)
        if option is False:
            foreign = foreign_objects(self._kube, namespace, extension.name) if is_ours(there.namespace_labels) else ()
            return removal(extension.name, namespace, there, foreign)
        if not wished(option, there):
            return Plan(kind=Kind.NOTHING)
        prepared = install_hooks(self._profile).prepare_extension(self._kube, extension, self._clock())
        choice = self._choose(extension, version, there, prepared, namespace)
        desired = Desired(
            namespace=namespace,
            labels=extension.namespace.labels,
            annotations=self._parts.annotations(extension),
            secrets=() if choice.holds_values else prepared.secrets,
            releases=(choice.release,),
            ours=self._platforms(),
        )
        there = with_drift(self._kube, there, namespace, desired.releases, self._profile.platform_owned)
        plan = make_plan(there, desired, adopt=self._wish.adopt)
        if plan.steps and not self._settled(mesh):
            # Pods that are made before the injector answers would run without a proxy.
            return Plan(kind=Kind.NOTHING, waiting=(extension.name,))
        self.extensions += (desired,)
        notes = tuple(filter(None, (self._parts.refused(extension), choice.note)))
        return msgspec.structs.replace(plan, notes=plan.notes + notes)

    def _settled(self, mesh: Plan) -> bool:
        """Whether a mesh is ready, and its plan leaves it so."""
        return not any(isinstance(step, RunHelm) for step in mesh.steps) and not readiness.look(
            self._kube, self._profile
        )

    def _desired_release(self, release: ReleaseProfile, chart: Chart, prepared: Prepared) -> DesiredRelease:
        desired = desired_release(release, chart, self._wish, prepared.values.get(release.name, {}))
        theirs = self._take_over.values(release.name)
        if theirs:
            desired = msgspec.structs.replace(desired, values=merged(theirs, desired.values))
        return self._parts.without_refused(release, desired)

    def _platforms(self) -> tuple[tuple[str, str, str], ...]:
        return tuple((entry.kind, "", entry.field) for entry in self._profile.platform_owned)
