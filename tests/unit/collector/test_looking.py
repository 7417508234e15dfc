"""What a look at a node says, by a real shell, and what it takes of a status that is nonsense."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from coldproof.looking import MOST_BYTES, MOST_PID, MOST_STEPS, read, script, usable

CAMPAIGN = "20261123T215900Z-0123456789ab"
SCHEMA = Path(__file__).resolve().parents[3] / "schemas/status.schema.json"
BOOT = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()


def status(**fields: Any) -> dict[str, Any]:
    return {
        "schema": "coldproof.status/1",
        "campaign": CAMPAIGN,
        "phase": "starting",
        "step": 1,
        "of": 3,
        "needs": None,
        "done": False,
        "error": None,
        "boot_id": BOOT,
        "pid": os.getpid(),
        "heartbeat": 1.0,
        **fields,
    }


def look(state: Path | str, home: Path | None = None, *, stop: bool = False) -> str:
    """Returns what a look prints, by the shell that the plugin asks for."""
    environment = {**os.environ, "HOME": str(home)} if home else None
    done = subprocess.run(
        ["/bin/sh", "-c", script(str(state), CAMPAIGN, stop=stop)],
        capture_output=True, check=False, timeout=60, env=environment,
    )  # fmt: skip
    return done.stdout.decode("utf-8", "surrogateescape")


def put(state: Path, content: str) -> Path:
    (state / "campaigns" / CAMPAIGN).mkdir(parents=True)
    (state / "status.json").write_text(content, "utf-8")
    return state


def test_an_agent_that_lives(tmp_path: Path) -> None:
    written = status()
    seen = read(look(put(tmp_path / "st ate's", json.dumps(written) + "\n")))
    assert seen == {
        "boot_id": BOOT, "held": True, "asked": False, "status": written, "wrong": "",
        "alive": True
    }  # fmt: skip


def test_an_agent_that_has_ended_or_is_of_another_boot_is_not_alive(tmp_path: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    assert not read(look(put(tmp_path / "ended", json.dumps(status(pid=ended.pid)))))["alive"]
    other = json.dumps(status(boot_id="0" * 8 + BOOT[8:]))
    assert not read(look(put(tmp_path / "other", other)))["alive"]


def test_an_agent_that_nobody_reaped_is_not_alive(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    try:
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        assert not read(look(put(tmp_path / "s", json.dumps(status(pid=child)))))["alive"]
    finally:
        os.waitpid(child, 0)


def test_an_agent_was_asked_to_stop_only_if_that_was_written(tmp_path: Path) -> None:
    # As the agent writes it.
    at_work = put(tmp_path / "s", json.dumps(status(), sort_keys=True))
    assert read(look(at_work, stop=True))["asked"]
    assert json.loads((at_work / "stop.json").read_text()) == {"campaign": CAMPAIGN}
    done = put(tmp_path / "done", json.dumps(status(done=True), sort_keys=True))
    assert not read(look(done, stop=True))["asked"]
    deaf = put(tmp_path / "deaf", json.dumps(status(), sort_keys=True))
    (deaf / ".stop.new").mkdir()  # as where this user may not write
    seen = read(look(deaf, stop=True))
    assert seen["alive"]
    assert not seen["asked"]


@pytest.mark.parametrize("field", ["step", "of", "pid"])
def test_numbers_that_no_plan_and_no_kernel_has_are_not_usable(field: str) -> None:
    for wrong in (-1, 10**18, 10**400, True, "1"):
        assert usable(json.dumps(status(**{field: wrong}))) == (None, field)


def test_a_node_that_holds_nothing(tmp_path: Path) -> None:
    seen = read(look(tmp_path))
    assert seen == {
        "boot_id": BOOT, "held": False, "asked": False, "status": None, "wrong": "", "alive": False
    }  # fmt: skip


@pytest.mark.parametrize("text", ["", "sudo: a password is required\n", "\n", "x" * 5000])
def test_an_answer_without_a_boot_is_none(text: str) -> None:
    assert read(text)["boot_id"] == ""


@pytest.mark.parametrize("folder", ["~", "~/", "~/a b/$(touch x)"])
def test_the_home_is_expanded_and_nothing_else(tmp_path: Path, folder: str) -> None:
    put(tmp_path / folder[2:], json.dumps(status()))
    assert read(look(folder, home=tmp_path))["held"]


def test_a_status_without_an_end_is_read_to_a_limit(tmp_path: Path) -> None:
    text = look(put(tmp_path / "s", json.dumps(status(run="x" * (50 << 20)))))
    assert len(text) < MOST_BYTES + 1000
    assert (read(text)["status"], read(text)["wrong"]) == (None, "schema")


def test_bytes_that_are_no_text_are_no_status(tmp_path: Path) -> None:
    state = put(tmp_path / "s", "")
    (state / "status.json").write_bytes(b'{"\xff\x00' + os.urandom(9000))
    seen = read(look(state))
    assert (seen["boot_id"], seen["status"], seen["alive"]) == (BOOT, None, False)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"campaign": 5}, "campaign"),
        ({"phase": ["x"]}, "phase"),
        ({"boot_id": None}, "boot_id"),
        ({"done": "yes"}, "done"),
        ({"step": "1"}, "step"),
        ({"of": True}, "of"),
        ({"pid": "(a+)+$"}, "pid"),
        ({"pid": -1}, "pid"),
        ({"needs": "money"}, "needs"),
        ({"needs": "turn", "turn": "../x"}, "turn"),
        ({"needs": "turn", "turn": 5}, "turn"),
        ({"needs": ["reboot"]}, "needs"),
        ({"error": "text"}, "error"),
        ({"error": {"code": 5, "message": "m", "variable": None}}, "error.code"),
        ({"error": {"code": "c", "variable": None}}, "error.message"),
        ({"error": {"code": "c", "message": "m", "variable": 1}}, "error.variable"),
        ({"note": "[" * 3000}, ""),
    ],
)
def test_a_field_of_the_wrong_type_is_named(
    tmp_path: Path, fields: dict[str, Any], field: str
) -> None:
    seen = read(look(put(tmp_path / "s", json.dumps(status(**fields)))))
    assert seen["wrong"] == field
    assert (seen["status"] is None) == bool(field)
    assert seen["boot_id"] == BOOT


def test_a_status_that_is_nested_without_an_end_is_not_usable() -> None:
    text = f'{BOOT}\n{{"a": "coldproof.status/1", "b": {"[" * 3000}{"]" * 3000}}}'
    assert read(text)["wrong"] in ("schema", "campaign")


@pytest.mark.parametrize(("needs", "given"), [("turn", True), (None, False)])
def test_a_turn_is_given_to_an_agent_that_asks_for_one(
    tmp_path: Path, needs: str | None, given: bool
) -> None:
    state = put(tmp_path / "s", json.dumps(status(needs=needs, turn="nfs' x")))
    words = script(str(state), CAMPAIGN, {"tier": "nfs' x", "concurrency": "2"})
    done = subprocess.run(["/bin/sh", "-c", words], capture_output=True, check=True, timeout=60)
    assert BOOT in done.stdout.decode()
    assert (state / "turn.json").exists() == given
    if given:
        turn = json.loads((state / "turn.json").read_text("utf-8"))
        assert turn == {"campaign": CAMPAIGN, "tier": "nfs' x", "concurrency": 2}
        assert sorted(path.name for path in state.iterdir()) == [
            "campaigns", "status.json", "turn.json"
        ]  # fmt: skip


def test_the_schema_has_the_bounds_of_the_reader() -> None:
    schema = json.loads(SCHEMA.read_text("utf-8"))
    for name, most in (("step", MOST_STEPS), ("of", MOST_STEPS), ("pid", MOST_PID)):
        assert name in schema["required"]
        assert (schema["properties"][name]["minimum"], schema["properties"][name]["maximum"]) == (
            0,
            most,
        )
