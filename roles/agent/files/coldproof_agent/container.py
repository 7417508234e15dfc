"""A server's container: what it sees of the node, and the words that run it."""

from __future__ import annotations

import glob
import os
import pwd
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

from coldproof_agent import cgroup, containerwords, engineprofile, gpu, mounts
from coldproof_agent.engineprofile import Place, Profile
from coldproof_agent.errors import Refusal
from coldproof_agent.plan import Plan
from coldproof_agent.runtime import LABEL_RUN, LABEL_STATE, Image, Runtime, RuntimeFailed
from coldproof_agent.supervisor import Command

CACHES = "compile-caches"
# Holds a folder for each runtime that was used: where clean has to look.
RUNTIMES = "containers"
# Where images keep what Python packages they have, below the root of a layer.
_PACKAGES = ("usr/local/lib", "usr/lib", "opt/*/lib", "root/*/lib", "app/*/lib", "*/lib")


def of(plan: Plan, profile: Profile, state: Path) -> Optional[Container]:
    """Returns the container of a plan; None if its server is a plain process. Raises Refusal."""
    if plan.settings["launcher"] == "process":
        return None
    return Container(plan, profile, state)


class Container:
    """How a plan's server runs in a container.

    Args:
        plan: the checked plan, whose launcher is docker or podman.
        profile: its engine.
        state: the state folder.

    Raises:
        Refusal: naming the variable: no such runtime or image, a mount or word that cannot be.
    """

    def __init__(self, plan: Plan, profile: Profile, state: Path) -> None:
        settings, local = plan.settings, plan.local
        self._plan, self._profile, self._state = plan, profile, state
        if not settings["container_image"]:
            raise Refusal(
                "image_missing",
                f"launcher {settings['launcher']} needs an image",
                "coldproof_container_image",
            )
        self.mounts = mounts.parse(local["container_mounts"])
        containerwords.check(settings["container_args"])
        self.runtime = Runtime(str(settings["launcher"]))
        # The runtime writes the container's id there; podman removes it with the container.
        self.cid = state / RUNTIMES / self.runtime.name / "id"
        self.image: Image = self.runtime.image(str(settings["container_image"]))
        self.caches = str(local["container_cache_dir"] or state / CACHES)
        if not os.path.isabs(self.caches) or "," in self.caches:
            raise Refusal(
                "container_cache",
                f"{self.caches}: it has to be an absolute path without a comma",
                "coldproof_container_cache_dir",
            )

    # -- what it sees -----------------------------------------------------------------------

    def place(self) -> Place:
        """Returns where the engine is inside: by the image's own PATH if nothing is given."""
        python = str(self._plan.local["engine_python"] or "python3")
        user = self._plan.local["engine_user"]
        return Place(python, str(self._state / "engine"), user or "", f"{self.caches}/home")

    def argv(self, where: Place, values: Mapping[str, str]) -> list[str]:
        """Returns the server's command line. Whether the image has it, its start tells."""
        return engineprofile.filled(
            self._profile, where, self._plan.settings["engine_command"], values
        )[0]

    def environment(self, extra: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
        """Returns what is added to the image's own environment."""
        env = {"PYTHONUNBUFFERED": "1"}
        if self._plan.local["engine_user"]:
            env["HOME"] = f"{self.caches}/home"
        env.update(self._cache_env())
        env.update(engineprofile.own_environment(self._profile, values))
        return {**env, **extra}

    def _cache_env(self) -> dict[str, str]:
        names = [str(one["env"]) for one in self._profile.data["compile_caches"]]
        return {name: f"{self.caches}/{name.lower()}" for name in names}

    def cache_folders(self, env: Mapping[str, str]) -> list[str]:
        """Returns where the compile caches lie on the node.

        Raises:
            Refusal: code ``container_cache``: one would end with the container.
        """
        seen = [*self.mounts, mounts.Mount(self.caches, self.caches, False)]
        found = []
        for name in self._cache_env():
            there = mounts.on_node(env[name], seen)
            if there is None:
                raise Refusal(
                    "container_cache",
                    f"{name}={env[name]} lies in no mount: this cache would end with its container",
                    mounts.VARIABLE,
                )
            found.append(there)
        return [*found, *self._plan.local["compile_cache_dirs"]]

    # -- what its image holds ---------------------------------------------------------------

    def roots(self, where: Place) -> list[str]:
        """Returns the folders of the installation on the node: the given ones, or the layers'."""
        if self._plan.local["engine_files"]:
            return list(self._plan.local["engine_files"])
        copied = [where.installation] if self._profile.data["installation"] == "copied" else []
        layers = self.image.layers
        if not layers or not all(os.access(one, os.R_OK | os.X_OK) for one in layers):
            return copied
        return [*copied, *layers]

    def versions(self) -> dict[str, str]:
        """Returns image and versions of the engine and its libraries, from metadata on disk."""
        folders = [
            folder
            for layer in self.image.layers
            for below in _PACKAGES
            for kind in ("python3*/site-packages", "python3*/dist-packages")
            for folder in glob.glob(f"{glob.escape(layer)}/{below}/{kind}")
        ]
        return {**engineprofile.versions_in(self._profile, folders), "image": self.image.id}

    # -- before and while it runs -----------------------------------------------------------

    def prepare(self) -> None:
        """Makes the folders it writes to, and removes what earlier runs left of containers.

        Raises:
            Refusal: code ``leftovers``; OSError: a folder cannot be made.
        """
        self.cid.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        user = self._plan.local["engine_user"]
        for one in [self.caches, f"{self.caches}/home", *self._cache_env().values()]:
            Path(one).mkdir(parents=True, exist_ok=True, mode=0o755)
            if user and os.geteuid() == 0:
                entry = pwd.getpwnam(user)
                os.chown(one, entry.pw_uid, entry.pw_gid)
        remove_all(self.runtime, self._state)

    def binds(self, path: str, files: Sequence[str]) -> list[mounts.Mount]:
        """Returns every mount: those given, the caches, and the model read-only at its own path.

        Args:
            path: the model's folder by its real path.
            files: the real paths of its weights.
        """
        own = [mounts.Mount(self.caches, self.caches, False)]
        if self._profile.data["installation"] == "copied":
            there = str(self._state / "engine")
            own.append(mounts.Mount(there, there, True))
        given = [*self.mounts, *own]
        return [*given, *mounts.of_model(path, files, given)]

    def words(
        self,
        server: Command,
        marker: str,
        binds: Sequence[mounts.Mount],
        secret: Collection[str],
    ) -> list[str]:
        """Returns the command line that runs a server, attached, in a container.

        Args:
            server: the server's own command line and environment, and whose rights.
            marker: the container's name.
            binds: what is mounted.
            secret: names in the environment whose values are handed over by the runtime's own
                environment, where no other user can read them.
        """
        words = [
            self.runtime.program, "run", "--name", marker, "--cidfile", str(self.cid),
            "--label", f"{LABEL_RUN}={marker}", "--label", f"{LABEL_STATE}={self._state}",
            "--pull=never", "--network=host", "--log-driver=none",
        ]  # fmt: skip
        for one in binds:
            words += ["--mount", one.word()]
        for name, value in {**server.env, "COLDPROOF_RUN": marker}.items():
            words += ["--env", name if name in secret else f"{name}={value}"]
        words += self._gpus()
        if server.uid is not None:
            words += ["--user", f"{server.uid}:{server.gid}"]
            for group in server.groups:
                words += ["--group-add", str(group)]
        words += self._plan.settings["container_args"]
        return [*words, "--entrypoint", server.argv[0], self.image.id, *server.argv[1:]]

    def _gpus(self) -> list[str]:
        if self._plan.settings["container_gpus"] == "none":
            return []
        wanted = self._plan.local["gpus"]
        if self.runtime.name == "docker":
            chosen = ",".join(map(str, wanted)) if wanted else ""
            return ["--gpus", f'"device={chosen}"' if chosen else "all"]
        names = [str(one) for one in wanted] if wanted else ["all"]
        return [word for one in names for word in ("--device", f"nvidia.com/gpu={one}")]

    def describe(self) -> dict[str, Any]:
        """Returns the form of runs.jsonl."""
        return {
            "runtime": self.runtime.name,
            "image": self.image.name,
            "image_id": self.image.id,
            "mounts": [one.word() for one in self.mounts],
            "args": list(self._plan.settings["container_args"]),
            "gpus": self._plan.settings["container_gpus"],
            "layers": len(self.image.layers),
        }


def remove_all(runtime: Runtime, state: Path) -> list[str]:
    """Removes every container that was started for a state folder. Returns their names.

    Raises:
        Refusal: code ``leftovers``: one stays, or the runtime cannot be asked.
    """
    try:
        names = runtime.labelled(LABEL_STATE, str(state))
        for name in names:
            runtime.remove(name)
    except RuntimeFailed as failure:
        raise Refusal(
            "leftovers",
            f"containers of earlier runs: {runtime.name}: {failure}",
            "coldproof_launcher",
        ) from failure
    return names


def examine(plan: Plan, profile: Profile, state: Path) -> None:
    """Looks whether this node can run the server in a container.

    Raises:
        Refusal: naming the variable.
    """
    if not cgroup.unified():
        raise Refusal(
            "launcher_cgroup",
            "containers are watched by their control group, version 2, which this node does not "
            "have: boot it with systemd.unified_cgroup_hierarchy=1",
            "coldproof_launcher",
        )
    if plan.settings["launcher"] == "docker" and os.geteuid() != 0:
        raise Refusal(
            "rights",
            "processes of docker's containers are root's, who alone may look at them: set "
            "ansible_become",
            "coldproof_launcher",
        )
    found = Container(plan, profile, state)
    for one in found.mounts:
        if not os.path.exists(one.source):
            raise Refusal("mount", f"{one.source} is not there", mounts.VARIABLE)
    if plan.settings["container_gpus"] != "none" and not gpu.DRIVER.exists():
        raise Refusal(
            "gpu_missing",
            "this node has no NVIDIA driver: set coldproof_container_gpus: none for a server "
            "without GPUs",
            "coldproof_container_gpus",
        )
    if not plan.local["engine_user"] and found.image.user.split(":")[0] not in ("", "0", "root"):
        raise Refusal(
            "container_user",
            f"the server of {found.image.name} runs as {found.image.user}, who cannot write to the "
            "compile caches that coldproof makes: give a user of this node",
            "coldproof_engine_user",
        )
    found.cache_folders(found.environment(plan.settings["engine_env"], {}))
