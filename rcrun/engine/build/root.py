"""A root that a step works in: the layers so far with an upper directory, as a container that no command can see."""

from __future__ import annotations

import os

from rcrun.engine.build.state import Layer
from rcrun.engine.config import ImageFacts
from rcrun.engine.diff import OWN_PLACES, changes_job
from rcrun.engine.launch import root_records
from rcrun.engine.newlayer import NewLayer
from rcrun.engine.rootfs import mounted_path
from rcrun.engine.run import Making, Root
from rcrun.runtime.plan_resources import controllers
from rcrun.storage.trees import remove_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from rcrun.engine.build.state import State
    from rcrun.engine.context import Context
    from rcrun.engine.pull import Progress
    from rcrun.formats.spec import Spec
    from rcrun.storage.lease import Lease

# Of an image's configuration, what a step must not inherit: it has its own command, and no volumes.
_NOT_FOR_STEPS = ("Cmd", "Entrypoint", "Healthcheck", "Volumes", "ExposedPorts", "StopSignal")
HOSTNAME = "build"  # of every RUN, for some programs write it into what they make


class StepRoot(Making):
    """A context manager: afterwards nothing is left but what `layer` made of it."""

    __slots__ = ("lowers", "spec", "state")

    def __init__(
        self, context: Context, state: State, options: dict[str, Any], lowers: list[str]
    ) -> None:
        name = f"build-{os.urandom(6).hex()}"
        own = {"log_driver": "none", "name": name}
        if not options.get("uts") and not options.get("no_hostname"):
            own["hostname"] = HOSTNAME
        if context.conf or context.conf_fault:
            from rcrun.engine.defaults import of_step

            options = of_step(context, options)
        super().__init__(context, {**own, **options})
        self.state = state
        self.lowers = lowers
        self.spec: Spec = {}

    def __enter__(self) -> StepRoot:
        super().__enter__()
        self.claim.__enter__()
        return self

    def _root(self, text: str, progress: Progress | None) -> Root:
        config = {
            key: value for key, value in self.state.config.items() if key not in _NOT_FOR_STEPS
        }
        return Root(ImageFacts(config), self.lowers)  # type: ignore[arg-type]

    def merge_options(self, more: dict[str, list[str]]) -> None:
        """Lists of words, behind those that are there."""
        for name, words in more.items():
            if words:
                self.options = {**self.options, name: [*(self.options.get(name) or ()), *words]}

    def fill(self, argv: Sequence[str]) -> None:
        self.spec = self.make("", argv, None)
        record = self.claim.container.record
        record["cgroup_manager"] = self._cgroup_manager()
        record["cgroups"] = "no-conmon"  # there is no monitor

    def _cgroup_manager(self) -> str:
        """A scope of systemd takes its time and a process: not for a step that is limited in nothing."""
        asked = self.context.cgroup_manager
        linux = self.spec.get("linux") or {}
        if asked != "none" and not linux.get("cgroupsPath"):
            asked = asked if controllers(linux.get("resources") or {}) else "cgroupfs"
        return asked

    def steps(self) -> list[list[str]]:
        """Before a worker: the root mounted, with the upper directory."""
        records = [
            [*record[:3], record[3].replace(",volatile", ""), *record[4:]]
            if record[0] == "root-overlay"
            else record
            for record in root_records(self.context, self.claim.container)
        ]
        return [["propagation", "rprivate"], *records]

    @property
    def path(self) -> str:
        """Where the worker has it then."""
        return mounted_path(self.claim.container)

    def layer(self, lease: Lease, newest: int) -> Layer | None:
        """What was changed, as a layer; None for nothing. `newest` (nanoseconds): later times become this."""
        from rcrun.storage.newlayer import NO_CHANGES

        mounts = self.spec.get("mounts") or []
        job = {
            **changes_job(self.context, self.claim.container),
            "hidden": sorted({*OWN_PLACES, *(mount["destination"].strip("/") for mount in mounts)}),
            "newest": newest,
        }
        diff_ids = [layer.diff_id for layer in self.state.layers]
        with NewLayer(self.context) as new_layer:
            descriptor = new_layer.make(job, lease, diff_ids, gives_up=self._is_given_up(job))
        if descriptor["size"] <= NO_CHANGES:
            return None
        return Layer(descriptor, descriptor["digest"])

    def _is_given_up(self, job: dict[str, Any]) -> bool:
        """Whether the upper directory has what an unpacked layer would have: overlayfs's own marks, the usual ids."""
        is_single = self.context.identity.kind == "single"
        plain = job["driver"] == "overlay" and not (job["whole"] or job["shifted"])
        return plain and not is_single and _is_identity(job["uids"]) and _is_identity(job["gids"])

    def __exit__(self, *error: object) -> None:
        """Files of other ids than ours are for a worker to remove."""
        container = self.claim.container
        super().__exit__(*error)
        remove_tree(container.live_dir)
        trashed = f"{container.store.trash_dir()}/{container.id}"
        try:
            remove_tree(trashed)  # a layer has taken over what was of other ids, in the usual case
        except OSError:
            from rcrun.storage.work import run

            run(self.context.identity, ["remove", trashed])


def _is_identity(rows: Sequence[Sequence[int]]) -> bool:
    return all(row[0] == row[1] for row in rows)
