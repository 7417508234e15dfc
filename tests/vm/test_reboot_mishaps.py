"""Reboots that do not happen, never end, or are somebody else's: told apart, never called cold."""

from __future__ import annotations

from pathlib import Path

from tests.fleet.play import run_playbook
from tests.vm.fleet import Machines
from tests.vm.job import STATE, fetched, in_run, on_node, probe, when_started
from tests.vm.machines import Machine

REBOOTS = {
    "coldproof_cold_method": "reboot",
    "coldproof_reboot_ok": True,
    "coldproof_reboot_timeout_s": 90,
    "coldproof_repeats": 1,
}
# Comes before the real one on the path of root's sessions.
SHUTDOWN = "/usr/local/bin/shutdown"


def replace_shutdown(machine: Machine, words: str) -> None:
    machine.ssh(f"printf '#!/bin/sh\\n%s\\n' '{words}' >{SHUTDOWN}; chmod 755 {SHUTDOWN}; sync")


def test_a_reboot_that_did_not_happen_and_one_that_never_ends_are_rows(
    machines: Machines, bookworm: Machine, trixie: Machine, workplace: Path
) -> None:
    for machine in (bookworm, trixie):
        machine.variables |= REBOOTS | {"ansible_ssh_retries": 1}
    # One only says that it reboots, the other one switches itself off.
    replace_shutdown(bookworm, "exit 0")
    replace_shutdown(trixie, "exec systemctl poweroff --force --force")
    inventory = machines.inventory(bookworm.name, trixie.name)
    boot = bookworm.boot_id()

    first = probe(workplace, inventory)
    assert first.code == 2, first.output
    outcomes = first.outcomes()
    stayed, gone = outcomes[bookworm.name], outcomes[trixie.name]
    assert (stayed["status"], stayed["code"]) == ("failed", "reboot_did_not_happen"), stayed
    assert boot in stayed["message"]
    assert (gone["status"], gone["code"]) == ("unreachable", "lost_in_reboot"), gone
    assert bookworm.name in first.report()
    assert trixie.name in first.report()
    modes = [run["mode"] for run in fetched(first, bookworm)]
    assert modes == ["prime"]

    # Switched on again, it goes on by itself; the other one does when it may really reboot.
    trixie.wait_until_off()
    trixie.power_on()
    for machine in (bookworm, trixie):
        machine.wait_for_ssh()
        machine.ssh(f"rm {SHUTDOWN}")
        machine.variables["coldproof_reboot_timeout_s"] = 300
    inventory = machines.inventory(bookworm.name, trixie.name)
    again = probe(workplace, inventory)
    assert again.code == 0, again.output
    assert again.campaign() == first.campaign()
    for machine in (bookworm, trixie):
        runs = {run["mode"]: run for run in fetched(again, machine)}
        assert (runs["cold"]["state"], runs["warm"]["state"]) == ("proven_cold", "proven_warm")
        assert runs["cold"]["boot_id"] != runs["prime"]["boot_id"]


def test_a_reboot_by_somebody_else_is_said_and_survived(
    machines: Machines, trixie: Machine, workplace: Path
) -> None:
    trixie.variables |= {"coldproof_repeats": 2, "ansible_ssh_retries": 2}
    inventory = machines.inventory(trixie.name)
    kept: list[str] = []

    def reboot() -> None:
        kept.extend(when_started(trixie, "cold 2/2"))
        trixie.ssh("echo b >/proc/sysrq-trigger & sleep 1", limit_s=20, may_be_cut=True)

    first = in_run(lambda: probe(workplace, inventory), reboot)
    assert first.code == 2, first.output
    outcome = first.outcomes()[trixie.name]
    assert outcome["code"] in ("rebooted", "unreachable"), outcome
    trixie.wait_for_ssh()
    assert on_node(trixie, first.campaign().name) == kept

    again = probe(workplace, inventory)
    assert again.code == 0, again.output
    runs = [run for run in fetched(again, trixie) if run["mode"] != "prime"]
    assert {run["state"] for run in runs} <= {"proven_cold", "proven_warm"}
    pairs = [{run["pair"] for run in runs if run["mode"] == mode} for mode in ("cold", "warm")]
    assert len(pairs[0] & pairs[1]) == 2


def test_a_cleaned_machine_holds_nothing(
    machines: Machines, bookworm: Machine, trixie: Machine, workplace: Path
) -> None:
    machines_up = (bookworm, trixie)
    inventory = machines.inventory(*(machine.name for machine in machines_up))
    play = run_playbook(workplace, inventory, playbook="clean.yml", limit_s=300)
    assert play.code == 0, play.output
    for machine in machines_up:
        left = machine.ssh(
            "find / -xdev -iname '*coldproof*' ! -path '/proc/*'; "
            f"ls -d {STATE} 2>/dev/null; pgrep -af coldproof | grep -v pgrep; "
            "systemctl list-units --all --no-legend 'coldproof*'; true"
        )
        assert left.strip() == "", left
