"""When a followed agent has ended, and what is said of it where it is not complete."""

from __future__ import annotations

from typing import Any

import pytest

from coldproof.following import Followed, judge, unreachable

CAMPAIGN = "20261123T215900Z-0123456789ab"
BOOT, OTHER = "boot-1", "boot-2"
FOLLOWED = Followed(pid=7, boot_id="", limit_s=600, turns=("nfs", "s3"))


def seen(*, boot: str = BOOT, alive: bool = True, wrong: str = "", **status: Any) -> dict[str, Any]:
    """Returns a look at an agent in its second start, with `status` changed."""
    said = {
        "campaign": CAMPAIGN, "phase": "starting", "step": 2, "of": 5, "pid": 7, "boot_id": BOOT,
        "needs": None, "done": False, "error": None, **status,
    }  # fmt: skip
    usable = None if wrong else said
    return {"boot_id": boot, "status": usable, "wrong": wrong, "alive": alive, "stderr": ""}


def outcome(
    look: dict[str, Any], followed: Followed = FOLLOWED, waited_s: float = 5
) -> tuple[bool, str, str]:
    said = judge(look, CAMPAIGN, followed, waited_s, waited_s)
    assert said["failed"]
    assert not said["reboot"]
    return said["ended"], said["outcome"]["status"], said["outcome"]["code"]


def test_an_agent_at_work_is_looked_at_again() -> None:
    assert outcome(seen()) == (False, "incomplete", "too_long")
    message = judge(seen(), CAMPAIGN, FOLLOWED, 5, 5)["msg"]
    assert "within 10 minutes at start 2 of 5 (starting)" in message


def test_an_agent_that_is_done_is_no_failure() -> None:
    for alive in (True, False):
        said = judge(seen(alive=alive, done=True), CAMPAIGN, FOLLOWED, 5, 5)
        assert said == {"ended": True, "reboot": False, "turn": ""}


def test_an_agent_that_asks_for_a_reboot_is_no_failure() -> None:
    said = judge(seen(alive=False, needs="reboot"), CAMPAIGN, FOLLOWED, 5, 5)
    assert said == {"ended": True, "reboot": True, "turn": ""}


def test_an_agent_asks_for_turns_until_it_has_them() -> None:
    asks = seen(needs="turn", turn="nfs")
    assert judge(asks, CAMPAIGN, FOLLOWED, 5, 5) == {"ended": True, "reboot": False, "turn": "nfs"}
    given = Followed(pid=7, boot_id="", limit_s=600, turn="nfs", turns=("s3",))
    assert not judge(asks, CAMPAIGN, given, 5, 5)["ended"]
    assert outcome(asks, given, 200) == (True, "incomplete", "turn_not_taken")
    another = judge(seen(needs="turn", turn="s3"), CAMPAIGN, given, 5, 5)
    assert another == {"ended": True, "reboot": False, "turn": "s3"}
    again = seen(needs="turn", turn="nvme")
    assert outcome(again) == (True, "failed", "bad_answer"), "not shared, or had already"
    died = seen(alive=False, needs="turn", turn="nfs")
    assert outcome(died) == (True, "incomplete", "agent_gone")


@pytest.mark.parametrize(
    ("code", "status"),
    [("max_minutes", "incomplete"), ("stopped", "incomplete"), ("disk_full", "failed")],
)
def test_an_agent_that_stopped_says_why(code: str, status: str) -> None:
    error = {"code": code, "message": "m", "variable": None}
    assert outcome(seen(alive=False, error=error)) == (True, status, code)


def test_an_agent_that_is_gone() -> None:
    assert outcome(seen(alive=False)) == (True, "incomplete", "agent_gone")
    assert outcome(seen(alive=False, boot=OTHER)) == (True, "incomplete", "rebooted")


def test_a_status_that_an_earlier_agent_left_is_not_this_ones() -> None:
    done_before = seen(alive=False, pid=3, campaign="another", done=True)
    assert outcome(done_before) == (True, "incomplete", "agent_gone")
    asked_before = seen(alive=False, pid=3, needs="reboot")
    assert outcome(asked_before) == (True, "incomplete", "agent_gone")
    assert "start 0 of 0" in judge(asked_before, CAMPAIGN, FOLLOWED, 5, 5)["msg"]


def test_the_agent_that_went_on_after_a_reboot_is_followed() -> None:
    again = Followed(pid=7, boot_id=OTHER, limit_s=600)
    look = seen(boot=OTHER, alive=False, pid=3, needs="reboot") | {}
    look["status"]["boot_id"] = OTHER
    assert judge(look, CAMPAIGN, again, 5, 5)["reboot"]
    assert outcome(look) == (True, "incomplete", "agent_gone")


def test_a_status_that_is_not_usable_names_the_field() -> None:
    assert outcome(seen(wrong="error.code")) == (True, "failed", "bad_answer")
    assert (
        "field error.code is missing"
        in judge(seen(wrong="error.code"), CAMPAIGN, FOLLOWED, 5, 5)["msg"]
    )


def test_silence_says_nothing_of_the_agent() -> None:
    silent = {**seen(boot=""), "stderr": "x\nsudo: a password is required\n"}
    assert outcome(silent) == (False, "unreachable", "no_answer")
    assert "(sudo: a password is required)" in judge(silent, CAMPAIGN, FOLLOWED, 5, 5)["msg"]


def test_what_ssh_says_is_shortened() -> None:
    said = f"{'@' * 60}\n@ WARNING @\n{'@' * 60}\nmiddle\nHost key verification failed.\n"
    message = unreachable(said)["message"]
    assert message == "@ WARNING @ Host key verification failed."


def test_an_agent_is_not_followed_for_ever() -> None:
    late = judge(seen(), CAMPAIGN, FOLLOWED, 601, 5)
    assert (late["ended"], late["outcome"]["code"]) == (True, "too_long")
    silent = judge(seen(boot=""), CAMPAIGN, FOLLOWED, 601, 5)
    assert (silent["ended"], silent["outcome"]["code"]) == (True, "no_answer")
