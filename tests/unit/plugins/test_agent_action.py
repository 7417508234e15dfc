"""What the controller takes of a node's answers, and what it names where they are nonsense."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.action.agent import accepted

STEP = {"seq": 1, "tier": "nvme", "variant": "default", "mode": "prime", "pair": None}
PREFLIGHT = {
    "ok": True,
    "refusals": [],
    "warnings": ["w"],
    "expected": {"minutes": 0.5, "bytes": 1 << 40},
    "steps": [STEP, {**STEP, "seq": 2, "mode": "cold", "pair": 1}],
}
ANSWERS: dict[str, Any] = {
    "preflight": PREFLIGHT,
    "start": {"ok": True, "campaign": "c", "pid": 7, "joined": False},
    "pack": {"ok": True, "path": "/s/x.tar", "bytes": 0, "sha256": "0" * 64},
    "clean": {
        "ok": False,
        "ended": [{"pid": 3, "command": "vllm"}],
        "removed": ["/s"],
        "unit": False,
        "left": ["x"],
        "held": [],
    },
}
OUTCOME = {"status": "refused", "code": "locked", "message": "m", "variable": ""}


def given(answer: Any, **more: Any) -> dict[str, Any]:
    return {"changed": False, "folder": "/s", "deployed": [], "answer": answer, **more}


def refused(**fields: Any) -> dict[str, Any]:
    outcome = {**OUTCOME, **fields}
    return {"failed": True, "msg": "m", "folder": "/s", "deployed": [], "outcome": outcome}


def said(result: dict[str, Any]) -> str:
    """Returns the message of a failure bad_answer."""
    assert result["failed"]
    assert "answer" not in result
    outcome = result["outcome"]
    assert (outcome["status"], outcome["code"]) == ("failed", "bad_answer")
    assert result["msg"] == outcome["message"]
    return str(outcome["message"])


@pytest.mark.parametrize("command", ANSWERS)
def test_what_the_agent_answers_is_taken_as_it_is(command: str) -> None:
    result = accepted(command, given(ANSWERS[command], changed=True))
    assert result == given(ANSWERS[command], changed=True)


@pytest.mark.parametrize("command", ANSWERS)
def test_every_field_that_is_read_is_needed(command: str) -> None:
    for name in set(ANSWERS[command]) - {"refusals", "path", "ok"}:
        without = {key: value for key, value in ANSWERS[command].items() if key != name}
        assert f"field answer.{name}" in said(accepted(command, given(without)))


@pytest.mark.parametrize(
    ("answer", "field"),
    [
        (None, "answer"),
        ("text", "answer"),
        ({**PREFLIGHT, "ok": "yes"}, "answer.ok"),
        ({**PREFLIGHT, "expected": {}}, "answer.expected.minutes"),
        ({**PREFLIGHT, "expected": None}, "answer.expected"),
        ({**PREFLIGHT, "expected": {"minutes": "1", "bytes": 1}}, "answer.expected.minutes"),
        ({**PREFLIGHT, "expected": {"minutes": True, "bytes": 1}}, "answer.expected.minutes"),
        ({**PREFLIGHT, "expected": {"minutes": 1e999, "bytes": 1}}, "answer.expected.minutes"),
        ({**PREFLIGHT, "expected": {"minutes": float("nan"), "bytes": 1}}, "expected.minutes"),
        ({**PREFLIGHT, "expected": {"minutes": 1, "bytes": 1.5}}, "answer.expected.bytes"),
        ({**PREFLIGHT, "expected": {"minutes": 1, "bytes": -1}}, "answer.expected.bytes"),
        ({**PREFLIGHT, "steps": [STEP, {**STEP, "seq": "1"}]}, "answer.steps.1.seq"),
        ({**PREFLIGHT, "steps": [{**STEP, "mode": "hot"}]}, "answer.steps.0.mode"),
        ({**PREFLIGHT, "steps": {"0": STEP}}, "answer.steps"),
        ({**PREFLIGHT, "warnings": [5]}, "answer.warnings.0"),
        ({**PREFLIGHT, "warnings": ["w"] * 100_001}, "answer.warnings"),
        ({**PREFLIGHT, "warnings": ["w" * 100_000]}, "answer.warnings.0"),
    ],
)
def test_nonsense_is_a_failure_that_names_the_field(answer: Any, field: str) -> None:
    assert f"{field} is missing or of the wrong type" in said(accepted("preflight", given(answer)))


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"code": 5}, "outcome.code"),
        ({"message": None}, "outcome.message"),
        ({"variable": ["x"]}, "outcome.variable"),
        ({"status": "complete"}, "outcome.status"),
        ({"status": "unreachable"}, "outcome.status"),
    ],
)
def test_a_refusal_that_is_nonsense_names_the_field(fields: dict[str, Any], field: str) -> None:
    assert field in said(accepted("preflight", refused(**fields)))


def test_a_refusal_is_kept_without_what_is_not_known() -> None:
    result = accepted("preflight", refused(more="x"))
    assert result["outcome"] == OUTCOME
    assert result["failed"]


def test_a_module_that_failed_by_itself_says_so_in_text() -> None:
    result = accepted("start", {"failed": True, "msg": {"a": 1}, "rc": 1, "module_stderr": "no"})
    assert result == {"failed": True, "msg": "{'a': 1}", "rc": 1, "module_stderr": "no"}


@pytest.mark.parametrize("result", [given(PREFLIGHT), refused(), {"failed": True, "msg": "m"}])
def test_a_node_gives_ansible_no_orders(result: dict[str, Any]) -> None:
    orders = {
        "unreachable": True,
        "skipped": True,
        "add_host": {"host_name": "evil", "groups": ["gpu-nodes"]},
        "add_group": "evil",
        "ansible_facts": {
            "ansible_connection": "local",
            "discovered_interpreter_python": "/usr/bin/python3",
        },
    }
    taken = accepted("preflight", {**result, **orders})
    assert not taken.keys() & {"unreachable", "skipped", "add_host", "add_group"}
    assert taken["ansible_facts"] == {"discovered_interpreter_python": "/usr/bin/python3"}


@pytest.mark.parametrize(
    "folder", ["relative", "/a\n!touch /tmp/x", "/a'b", '/a"b', "/a\\b", "/" * 5000, 5]
)
def test_a_folder_that_a_transfer_could_misread_is_not_usable(folder: Any) -> None:
    assert "folder" in said(accepted("pack", {**given(ANSWERS["pack"]), "folder": folder}))
