"""Everything that stays the same between the starts of one tier and variant on one node."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

from coldproof_agent import (
    container,
    cooling,
    enginefiles,
    engineprofile,
    engineprogram,
    freshcache,
    gpu,
    redact,
    residency,
    storage,
    weights,
)
from coldproof_agent.enginefiles import EngineFiles
from coldproof_agent.files import FileRef
from coldproof_agent.plan import Plan
from coldproof_agent.supervisor import Command


class Scene:
    """One tier and variant.

    Args:
        plan: the checked plan.
        tier, variant: by name.
        state: the state folder.
        folder: the campaign's folder in it.
        secret: the engine's secret environment.
    """

    def __init__(
        self,
        plan: Plan,
        tier: str,
        variant: str,
        state: Path,
        folder: Path,
        secret: Mapping[str, str],
    ) -> None:
        self.plan, self.tier, self.variant, self.folder = plan, tier, variant, folder
        self.path = plan.path(tier)
        # Nodes that may measure this tier at once, by the turn that was given.
        self.concurrency = 1
        self.profile = engineprofile.load(str(plan.settings["engine"]))
        self.container = container.of(plan, self.profile, state)
        if self.container:
            self.where = self.container.place()
        else:
            self.where = engineprofile.place(self.profile, plan.local, state)
        if self.profile.data["installation"] == "copied":
            engineprofile.install_reference(self.where)
        self.secret = dict(secret)
        given = plan.settings["engine_command"]
        # Now: it may start the program, which must not happen between cold and ready.
        if self.container:
            self.roots = self.container.roots(self.where)
            self._versions = self.container.versions()
        else:
            own = plan.local["engine_files"]
            self.roots = engineprofile.roots(self.profile, self.where, own, given)
            self._versions = engineprofile.versions(self.profile, self.where, given, state)
        self._scratch = [state]
        # What a killed start left in it goes with the next start, or with the folder.
        fresh = plan.settings["compile_cache"] == "fresh"
        place = Path(self.container.caches) if self.container else folder
        self._fresh = place / freshcache.FOLDER if fresh else None
        self._kept = folder / f"engine-files.{tier}~{variant}.json"
        self._ground: Optional[enginefiles.Ground] = None
        self._verdicts: dict[str, str] = {}
        self._tested_on: set[int] = set()
        self.engine_files = enginefiles.restore(self._kept)

    # -- files ------------------------------------------------------------------------------

    def weights(self) -> list[FileRef]:
        """Returns the weights as they are now. Raises Refusal."""
        return weights.of(self.path, self.profile.data)

    def verdicts(self, files: list[FileRef], may_evict: bool) -> dict[str, str]:
        """Returns what the witnesses are worth on the weights; tested until one passes."""
        lie = {one.dev for one in files}
        if residency.best(self._verdicts) is None or self._tested_on != lie:
            self._verdicts = residency.trusted(files, self._scratch, may_evict)
            self._tested_on = lie
        return self._verdicts

    def engine_verdicts(self) -> dict[str, str]:
        """Returns what the witnesses are worth on the engine files."""
        if self._ground is not None and residency.best(self._ground.verdicts):
            return self._ground.verdicts
        return residency.trusted(self.engine_files.files, self._scratch, may_evict=False)

    def look_at_engine(self) -> Optional[residency.Residency]:
        """Returns the residency of the engine files; None if they are not known."""
        if not self.engine_files.known:
            return None
        return residency.look(self.engine_files.files, self.engine_verdicts())

    def engine_files_found(self) -> bool:
        """Says whether a prime run has looked for the engine files, with whatever result."""
        return self._kept.exists()

    def before_prime(self, files: list[FileRef]) -> None:
        """Evicts weights and installation: what is resident after the start was brought by it."""
        self._ground = enginefiles.prepare(self.roots, self._scratch)
        cooling.evict(files, self.verdicts(files, True))

    def after_prime(self) -> EngineFiles:
        """Finds the engine files and keeps them for the runs to come."""
        if self._ground is not None:
            self.engine_files = enginefiles.found_after(self._ground)
            enginefiles.save(self._kept, self.engine_files)
        return self.engine_files

    # -- the server -------------------------------------------------------------------------

    def values(self, port: int, served_name: str) -> dict[str, str]:
        """Returns what fills the templates of command line, environment and readiness path."""
        settings = self.plan.settings
        data = self.profile.data
        # Links are resolved: what they point to is mounted at its own path in a container.
        path = os.path.realpath(self.path) if self.container else self.path
        file = weights.model_files(path, data)[0] if "split" in data else path
        return {
            "model_path": path,
            "model_file": file,
            "model": str(settings["model"]),
            "host": str(self.plan.local["host"]),
            "port": str(port),
            "served_model_name": served_name,
            "max_model_len": str(settings["max_model_len"]),
            "ready_timeout_s": str(int(settings["ready_timeout_s"])),
        }

    def model_id(self, values: Mapping[str, str]) -> Optional[str]:
        """Returns the id by which the server has to name its model; None if it is not known."""
        return engineprofile.model_id(self.profile, self.plan.settings["engine_command"], values)

    def command(self, values: Mapping[str, str]) -> Command:
        """Returns what to execute, and with whose rights. Raises Refusal."""
        settings, variant = self.plan.settings, self.plan.variant(self.variant)
        given = {**settings["engine_env"], **variant.get("env", {}), **self.secret}
        if self._fresh is not None:
            given = {**given, **freshcache.environment(self.profile.data, self._fresh)}
        if self.container:  # it is shown its GPUs alone, which count from 0 in it
            argv = self.container.argv(self.where, values)
            env = self.container.environment(given, values)
        else:
            given = {**gpu.visible(self.plan.local["gpus"]), **given}
            argv = engineprofile.argv(self.profile, self.where, settings["engine_command"], values)
            env = engineprofile.environment(self.profile, self.where, given, values)
        argv += [*settings["engine_args"], *variant.get("args", [])]
        engineprogram.need_model(self.profile.data, argv, values["model_path"])
        user = self.plan.local["engine_user"]
        if user is None or (not self.container and pwd.getpwnam(user).pw_uid == os.geteuid()):
            return Command(argv, env, "/")
        entry = pwd.getpwnam(user)
        groups = os.getgrouplist(user, entry.pw_gid)
        return Command(argv, env, "/", entry.pw_uid, entry.pw_gid, groups)

    def cache_folders(self, env: Mapping[str, str]) -> list[str]:
        """Returns the engine's compile-cache folders."""
        if self.container:
            return self.container.cache_folders(env)
        given = self.plan.local["compile_cache_dirs"]
        return engineprofile.cache_folders(self.profile, self.where, env, given)

    @property
    def compile_cache(self) -> str:
        """``keep`` or ``fresh``."""
        return str(self.plan.settings["compile_cache"])

    def empty_caches(self, command: Command) -> None:
        """Makes the private compile caches new and empty, where that is wanted."""
        if self._fresh is not None:
            folders = self.cache_folders(command.env)
            freshcache.empty(self._fresh, folders, command.uid, command.gid)

    def remove_caches(self) -> None:
        """Removes the private compile caches."""
        if self._fresh is not None:
            freshcache.remove(self._fresh)

    def describe_engine(self, command: Command, port: int, model_id: str) -> dict[str, Any]:
        """Returns the form of runs.jsonl, secrets hidden."""
        found = self._versions
        return {
            "name": self.profile.name,
            "title": self.profile.title,
            "version": next(
                (found[name] for name in self.profile.data.get("packages", []) if name in found),
                None,
            ),
            "versions": found,
            "argv": redact.hide_argv(command.argv, list(self.secret.values())),
            "env": redact.hide_env(command.env, list(self.secret)),
            "python": self.where.python,
            "user": self.where.user,
            "port": port,
            "model_id": model_id,
            "container": self.container.describe() if self.container else None,
        }

    # -- the storage below ------------------------------------------------------------------

    def devices(self, files: list[FileRef]) -> list[storage.Device]:
        """Returns the block devices below weights and engine files, each once."""
        found: dict[str, storage.Device] = {}
        samples = {one.dev: one.path for one in [*self.engine_files.files, *files]}
        for path in samples.values():
            for device in storage.devices_of(path):
                found.setdefault(device.name, device)
        return list(found.values())
