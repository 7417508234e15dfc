"""`coldproof status` and `coldproof stop`: one look at each node, by a playbook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from coldproof.answer import Answer
from coldproof.campaign import load
from coldproof.errors import InputError
from coldproof.live import last, places
from coldproof.live.lines import REASON, doing_by, seconds, shown
from coldproof.live.progress import reason
from coldproof.live.session import INTERRUPTED, Session, Show

REBOOTS = "waits for its reboot: resume gives it"
STOPS = "stops after this pair"
ABSENT = "not asked: not in the inventory, or not in the group of GPU nodes"
CUT_SHORT = "no answer: the playbook ended before"
# ansible-playbook has been at all nodes: done, failed for some, unreachable some, both.
THROUGH = (0, 2, 4, 6)
NOT_ASKED = (
    " (coldproof_state_dir cannot be written by this user: give -e again as when it was begun)"
)


class Answers(Show):
    """Keeps what each node answered, and what Ansible says beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.looks: dict[str, dict[str, Any]] = {}
        self.failed: dict[str, str] = {}
        self.said: list[str] = []
        self.code = 0

    def event(self, event: dict[str, Any], _seen: dict[str, Any] | None, /) -> None:
        """Keep a look's answer, or why there is none."""
        data = event.get("event_data") or {}
        host, result = data.get("host"), data.get("res")
        if not isinstance(host, str):
            self.said += str(event.get("stdout") or "").splitlines()
        elif not isinstance(result, dict):
            return
        elif event["event"] in ("runner_on_failed", "runner_on_unreachable"):
            self.failed[host] = reason(result)
        elif "boot_id" in result:
            self.looks[host] = result


def status(
    named: Path | None, inventory: Sequence[str], limit: str | None, words: Sequence[str]
) -> Answer:
    """Say what each node does now. The code is 1 if one does not answer."""
    folder, answers, code = _ask("status", named, inventory, limit, words)
    rows = _rows(folder, answers, limit)
    return _answer(folder.name, rows, {name: _said(one) for name, one in rows.items()}, code)


def stop(
    named: Path | None, inventory: Sequence[str], limit: str | None, words: Sequence[str]
) -> Answer:
    """Ask each agent to stop, and say which will.

    The code is 1 if a node does not answer, or one that is at work cannot be asked.
    """
    folder, answers, code = _ask("stop", named, inventory, limit, words)
    rows = _rows(folder, answers, limit)
    for name, one in rows.items():
        if one["state"] == REBOOTS and answers.looks[name]["asked"]:
            one["state"] = f"{REBOOTS}, and takes this stop back"
    deaf = [
        name for name, one in rows.items() if one["at_work"] and not answers.looks[name]["asked"]
    ]
    for name in deaf:
        why = shown(str(answers.looks[name].get("stderr") or ""), REASON).strip()
        rows[name]["state"] = f"at work, and not asked to stop: {why or 'no reason was given'}"
    said = {
        name: rows[name]["state"] + NOT_ASKED
        if name in deaf
        else f"{STOPS} ({_said(one)})"
        if one["at_work"]
        else _said(one)
        for name, one in rows.items()
    }
    return _answer(folder.name, rows, said, code or int(bool(deaf)))


def _answer(
    campaign: str, rows: Mapping[str, Mapping[str, Any]], said: Mapping[str, str], code: int
) -> Answer:
    width = max(map(len, rows), default=0)
    lines = [campaign, *(f"{shown(name):{width}}  {one}" for name, one in said.items())]
    code = code or int(not all(one["answered"] for one in rows.values()))
    return Answer(code, {"campaign": campaign, "nodes": dict(rows)}, "\n".join(lines))


def _ask(
    playbook: str,
    named: Path | None,
    inventory: Sequence[str],
    limit: str | None,
    words: Sequence[str],
) -> tuple[Path, Answers, int]:
    """Return the campaign's folder, what was answered, and an exit code that is not the nodes'."""
    folder = last.newest(named)
    given = [word for one in inventory for word in ("-i", one)] + (["-l", limit] if limit else [])
    arguments = [*last.arguments(folder, inventory, limit), *given, *words]
    answers = Answers()
    code = Session(places.playbook(playbook), arguments, answers, stream=False).run()
    answers.code = code
    if code == INTERRUPTED:
        return folder, answers, code
    if not _names(answers):
        said = " ".join(" ".join(answers.said[-5:]).split())
        raise InputError(f"{playbook}.yml ended with {code} and no answer: {said}")
    return folder, answers, 0


def _names(answers: Answers) -> list[str]:
    return sorted({*answers.looks, *answers.failed})


def _rows(folder: Path, answers: Answers, limit: str | None) -> dict[str, dict[str, Any]]:
    """Return each node's row; all nodes of the campaign have one where no limit was given."""
    names = set(_names(answers)) | (set() if limit else set(load(folder)["nodes"]))
    return {name: _row(answers, name, folder.name) for name in sorted(names)}


def _row(answers: Answers, name: str, campaign: str) -> dict[str, Any]:
    """Return what a node's answer says of the campaign, in words that are safe to print."""
    look = answers.looks.get(name)
    if look is None and name not in answers.failed:
        why = ABSENT if answers.code in THROUGH else CUT_SHORT
        return {"answered": False, "at_work": False, "state": why}
    if look is None or not look["boot_id"]:
        told = str((look or {}).get("stderr") or "no answer")
        why = answers.failed.get(name) or shown(told, REASON)
        return {"answered": False, "at_work": False, "state": why}
    found = look.get("status")
    row: dict[str, Any] = {"answered": True, "at_work": False}
    if not isinstance(found, Mapping) or found["campaign"] != campaign:
        here = "its results are here" if look.get("held") else "it holds nothing of it"
        other = f", another campaign is: {shown(found['campaign'])}" if found else ""
        return {**row, "state": f"not at work, {here}{other}"}
    run, phase = doing_by(dict(found))
    row |= {"step": found["step"], "of": found["of"], "run": run, "phase": phase}
    row |= {"elapsed_s": seconds(found.get("elapsed_s")), "last_s": seconds(found.get("last_s"))}
    if found["done"]:
        return {**row, "state": "done"}
    error = found.get("error")
    if error:
        return {**row, "state": shown(f"{error['code']}: {error['message']}", REASON)}
    if found["needs"] == "reboot":
        return {**row, "state": REBOOTS}
    if not look["alive"]:
        return {**row, "state": "its agent is gone: resume goes on"}
    return {**row, "at_work": True, "state": "at work"}


def _said(row: Mapping[str, Any]) -> str:
    """Return a row as one line."""
    step = f"{row['step']}/{row['of']}  " if "step" in row else ""
    if not row["at_work"]:
        return f"{step}{row['state']}"
    elapsed, before = row["elapsed_s"], row["last_s"]
    parts = [
        f"{row['run']}  {row['phase']}".strip(),
        "" if elapsed is None else f"{elapsed:.1f} s",
        "" if before is None else f"(last {before:.1f} s)",
    ]
    return step + "  ".join(part for part in parts if part)
