"""A stop between two runs: obeyed once, by its campaign, and taken back by a start."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from coldproof.looking import script
from coldproof_agent import stops
from coldproof_agent.errors import Refusal
from tests.unit.agent import plans
from tests.unit.agent.drivers.campaigns import check_files, foreground, run, status, until

CAMPAIGN = "20261123T000000Z-0123456789ab"


def ask(state: Path, campaign: str) -> None:
    """Asks as the fleet's side does: by the node's shell."""
    words = script(str(state), campaign, stop=True)
    subprocess.run(["/bin/sh", "-c", words], check=True, timeout=60, stdout=subprocess.DEVNULL)


def test_it_stops_between_two_pairs_and_goes_on_later(tiny: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    name = plans.put(state, plans.make(tiny, repeats=6))
    with foreground(state) as agent:
        until(lambda: "cold 2" in str(said(state)["run"]), "the second pair", 120)
        ask(state, name)
        assert agent.wait(120) == 1
    assert status(state)["error"]["code"] == "stopped"
    assert not (state / stops.FILE).exists()
    made = [one["mode"] for one in check_files(state / "campaigns" / name).values()]
    assert made.count("cold") == made.count("warm") < 6
    assert run(state, 240) == 0
    made = [one["mode"] for one in check_files(state / "campaigns" / name).values()]
    assert made.count("cold") == made.count("warm") == 6


def said(state: Path) -> dict[str, Any]:
    try:
        return status(state)
    except FileNotFoundError:
        return {"run": None}


@pytest.mark.parametrize(
    ("given", "stopped"),
    [
        ({"campaign": CAMPAIGN}, True),
        ({"campaign": "20261123T000000Z-ffffffffffff"}, False),
        ({"campaign": 5}, False),
        ([], False),
    ],
)
def test_only_a_stop_of_this_campaign_is_obeyed(
    tmp_path: Path, given: object, stopped: bool
) -> None:
    (tmp_path / stops.FILE).write_text(json.dumps(given), "utf-8")
    if stopped:
        with pytest.raises(Refusal, match="stop"):
            stops.obey(tmp_path, CAMPAIGN)
    stops.obey(tmp_path, CAMPAIGN)
    assert (tmp_path / stops.FILE).exists() is not stopped


def test_who_starts_it_again_takes_the_stop_back(tmp_path: Path) -> None:
    (tmp_path / stops.FILE).write_text(json.dumps({"campaign": CAMPAIGN}), "utf-8")
    stops.take_back(tmp_path, CAMPAIGN)
    stops.obey(tmp_path, CAMPAIGN)
    stops.take_back(tmp_path, CAMPAIGN)


@pytest.mark.parametrize("campaign", ["20261123T000000Z-ffffffffffff", CAMPAIGN])
def test_an_agent_that_is_done_or_another_s_is_not_asked(tmp_path: Path, campaign: str) -> None:
    text = json.dumps(
        {"campaign": campaign, "done": campaign == CAMPAIGN, "pid": 1}, sort_keys=True
    )
    (tmp_path / "status.json").write_text(text, "utf-8")
    ask(tmp_path, CAMPAIGN)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["status.json"]
