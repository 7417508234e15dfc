"""Carries a plan out on this node: in order, durably, from where it stopped."""

from __future__ import annotations

import errno
import functools
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

from coldproof_agent import (
    csvfile,
    durable,
    gpu,
    identity,
    launcher,
    locks,
    makemodel,
    measure,
    procfs,
    reboot,
    redact,
    stops,
    supervisor,
    sweeps,
    turns,
)
from coldproof_agent import (
    plan as plans,
)
from coldproof_agent.errors import Refusal
from coldproof_agent.journal import Journal
from coldproof_agent.plan import Plan, Step
from coldproof_agent.scene import Scene
from coldproof_agent.status import Status

NEEDED_BYTES = 64 << 20


def folder_of(state: Path, campaign: str) -> Path:
    """Returns a campaign's folder in the state folder."""
    return state / "campaigns" / campaign


def unfinished(state: Path) -> list[str]:
    """Returns the campaigns of this state folder that were begun and have not ended."""
    found = []
    for folder in sorted((state / "campaigns").glob("*")):
        journal = Journal(folder)
        if journal.first("campaign") and not journal.first("done"):
            found.append(folder.name)
    return found


def open_folder(state: Path, plan: Plan) -> Path:
    """Makes the campaign's folder and moves plan and secrets into it.

    Raises:
        Refusal: another campaign is unfinished here.
    """
    others = [name for name in unfinished(state) if name != plan.campaign]
    if others:
        raise Refusal(
            "other_campaign",
            f"campaign {others[0]} is not finished on this node. Resume it "
            f"(coldproof_campaign={others[0]}), or delete {folder_of(state, others[0])} there.",
            "coldproof_campaign",
        )
    folder = folder_of(state, plan.campaign)
    folder.mkdir(parents=True, exist_ok=True, mode=0o755)
    durable.replace(folder / "plan.json", (state / "plan.json").read_bytes())
    if (state / "secrets.json").exists():
        (state / "secrets.json").rename(folder / "secrets.json")
    return folder


class NeedsFleetError(Exception):
    """The campaign goes on only after something that the fleet's side gives: a reboot."""


class Campaign:
    """One plan being carried out. The state folder's lock is held by the caller.

    Args:
        state: the state folder.
        plan: the checked plan.
        command: the words that start this agent, for the boot after a reboot.
    """

    def __init__(self, state: Path, plan: Plan, command: Sequence[str]) -> None:
        self.state, self.plan = state, plan
        self.folder = folder_of(state, plan.campaign)
        self.steps = plans.expand(plan)
        self.status = Status(state / "status.json", plan.campaign, len(self.steps))
        self.ledger = state / "launched.json"
        self.journal = Journal(self.folder)
        self.command = list(command)
        self.rebooted: Optional[dict[str, Any]] = None
        self._done = 0
        self._failed: list[tuple[str, str]] = []
        self._turns: dict[str, int] = {}
        self._last: dict[str, Optional[float]] = {}
        limit = float(plan.settings["max_minutes"])
        self._deadline = time.monotonic() + 60 * limit if limit else None

    def carry_out(self) -> bool:
        """Runs what is left of the plan. Returns whether all of it was done."""
        try:
            secret = redact.read(self.folder / "secrets.json")
            supervisor.become_subreaper()
            self._recover()
            durable.need_space(self.state, NEEDED_BYTES)
            self._make_model()
            identity.check(self.plan, self.state, self.journal)
            held = locks.gpu_locks(gpu.look(self.plan.local["gpus"])["devices"])
            self._all(secret)
            del held
        except NeedsFleetError:
            return False
        except Refusal as refusal:
            self.status.fail(refusal.code, refusal.message, refusal.variable)
            return False
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
                message = f"{where}{error.strerror}: nothing that had finished is lost; free space"
                self.status.fail("state_folder", message, "coldproof_state_dir")
            else:
                self.status.fail("os_error", f"{where}{error.strerror}", None)
            raise
        except Exception as error:
            self.status.fail(
                "internal_error", f"{type(error).__name__}: {error}; see agent.log", None
            )
            raise
        self._forget_secrets()
        if self._failed:
            self.status.fail("engine_failed", *self._failed[0])
            return False
        return True

    def _all(self, secret: Mapping[str, str]) -> None:
        """Makes the runs of every tier and variant."""
        seen: list[tuple[str, str]] = []
        for step in self.steps:
            if (step.tier, step.variant) not in seen:
                seen.append((step.tier, step.variant))
        for tier, variant in seen:
            self._tier(tier, variant, secret)
        if not self._failed:
            self.journal.note("done")
            self.status.set(phase="done", done=True, run=None, step=len(self.steps))

    def _tier(self, tier: str, variant: str, secret: Mapping[str, str]) -> None:
        warm_only = plans.warm_only(self.plan, tier, variant)
        scene = Scene(self.plan, tier, variant, self.state, self.folder, secret)
        scene.concurrency = self._turn(tier)
        if not self._prime(scene):
            return
        repeats = int(self.plan.settings["repeats"])
        while (made := len(self.journal.finished_pairs(tier, variant, warm_only))) < repeats:
            self._need_time()
            last = made + 1 == repeats
            pair = self.journal.next_pair(tier, variant)
            for mode in ("warm",) if warm_only else ("cold", "warm"):
                step = Step(tier, variant, mode, pair)
                if mode == "cold" and self.plan.settings["cold_method"] == "reboot":
                    self._need_reboot(step)
                record = self._run(scene, step, last=last and mode == "warm")
                if sweeps.gives_up(record):
                    self._fail(scene, record, "could not be started any more")
                    return

    def _turn(self, tier: str) -> int:
        """Waits for the tier's turn, once, where nodes share it. Returns how many measure it."""
        if not self.plan.tier(tier).get("shared"):
            return 1
        if tier not in self._turns:
            count = turns.wait(self.state, self.plan.campaign, tier, self.status, self._need_time)
            self._turns[tier] = count
            self.journal.note("turn", tier=tier, concurrency=count)
        return self._turns[tier]

    def _need_reboot(self, step: Step) -> None:
        """Goes on if this is the boot that was asked for, else asks for it and ends."""
        asked = self.journal.unused("reboot_wanted")
        if asked is not None and asked["step"] == list(step):
            if asked["boot_id"] != procfs.boot_id():
                settled = reboot.settle([self.plan.path(step.tier), str(self.state)])
                self.rebooted = {
                    "boot_id_before": asked["boot_id"],
                    "boot_id": procfs.boot_id(),
                    **settled,
                }
                self.journal.note("rebooted", step=list(step), **self.rebooted)
                return
        else:
            self.journal.note("reboot_wanted", step=list(step), boot_id=procfs.boot_id())
        paths = [str(self.state), *map(str, self.plan.local["tier_paths"].values())]
        reboot.arm(
            [*self.command, "run", "--state", str(self.state)],
            paths,
            str(self.folder / "agent.log"),
        )
        self.status.set(
            phase="idle", needs="reboot", run=step.title(int(self.plan.settings["repeats"]))
        )
        raise NeedsFleetError

    def _prime(self, scene: Scene) -> bool:
        """Starts until the compile caches settle, at most three times."""
        made = self.journal.of(scene.tier, scene.variant, "prime")
        # Primes that became ready count over all invocations; one that failed is tried again by
        # whoever starts the campaign again, never by itself.
        while sum(1 for one in made if one["outcome"] == "ready") < plans.MAX_PRIMES:
            settled = (
                made
                and made[-1]["outcome"] == "ready"
                and (
                    # Always empty before a start, the caches never settle, and need not.
                    scene.compile_cache == "fresh" or not made[-1]["compile_changed"]
                )
            )
            if settled and scene.engine_files_found():
                break
            self._need_time()
            step = Step(scene.tier, scene.variant, "prime", None)
            made = [*made, self._run(scene, step, first=not made)]
            if sweeps.gives_up(made[-1]):
                break
        if sweeps.gives_up(made[-1]):
            self._fail(scene, made[-1], "did not become ready when first started")
            return False
        return True

    def _fail(self, scene: Scene, record: dict[str, Any], what: str) -> None:
        """Gives up a tier and variant in this invocation: nothing is retried in silence."""
        tail = " | ".join(record["log"].get("tail", [])[-2:])
        said = f"{record['outcome']}: {record['outcome_detail']}"
        text = f"{scene.tier}/{scene.variant}: the server {what} ({said})"
        text = f"{text}{': ' if tail else ''}{tail}"[:1200]
        self._failed.append((text, sweeps.decides(record)))

    def _need_time(self) -> None:
        """Ends where it may go on no more: before a prime run or a pair, never in one."""
        stops.obey(self.state, self.plan.campaign)
        if self._deadline is not None and time.monotonic() > self._deadline:
            raise Refusal(
                "max_minutes",
                f"{self.plan.settings['max_minutes']:g} minutes are over: run the same plan again "
                "to go on from here",
                "coldproof_max_minutes",
            )

    def _run(
        self, scene: Scene, step: Step, first: bool = True, last: bool = False
    ) -> dict[str, Any]:
        durable.need_space(self.state, NEEDED_BYTES)
        self.status.set(
            phase="preparing",
            run=step.title(int(self.plan.settings["repeats"])),
            step=min(self._done, len(self.steps)),
            last_s=self._last.get(step.mode),
        )
        identity.check(self.plan, self.state, self.journal)
        seq = self.journal.begin(step)
        sweep = functools.partial(sweeps.due, self.plan, self.journal.runs, last)
        made = measure.run(scene, step, seq, self.ledger, self.status, self.rebooted, sweep)
        record = self.journal.end(made)
        self.rebooted = None
        csvfile.sync(self.folder / "storage_load_bench.csv", [record])
        self._last[step.mode] = record["load_s"]
        self._done += 1 if first else 0
        self.status.set(phase="idle", step=min(self._done, len(self.steps)))
        return record

    # -- before the first run ---------------------------------------------------------------

    def _recover(self) -> None:
        """Ends what a killed agent left, and closes the run it was in."""
        if reboot.possible() and os.geteuid() == 0:
            reboot.disarm()
        self.journal.note("agent", boot_id=procfs.boot_id(), pid=os.getpid())
        for one in launcher.end_leftovers(self.ledger):
            self.journal.note("leftover_ended", **one)
        for begun in self.journal.open_runs():
            self.journal.note("interrupted", **begun.step._asdict(), of=begun.seq)
        csvfile.sync(self.folder / "storage_load_bench.csv", self.journal.runs)
        self._done = min(len(self.journal.runs), len(self.steps))

    def _make_model(self) -> None:
        mib = int(self.plan.local["make_model_mib"])
        for path in self.plan.local["tier_paths"].values() if mib else ():
            self.status.set(phase="preparing", run=f"writing a model of {mib} MiB")
            makemodel.make(str(path), mib)

    def _forget_secrets(self) -> None:
        (self.folder / "secrets.json").unlink(missing_ok=True)
