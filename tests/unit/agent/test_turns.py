"""Turns on a shared tier: nothing is started there before one was given."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from coldproof_agent import turns
from coldproof_agent.errors import Refusal
from coldproof_agent.status import Status

CAMPAIGN = "20261123T000000Z-0123456789ab"


def put(state: Path, **given: Any) -> None:
    beside = state / ".turn.new"
    beside.write_text(json.dumps(given), "utf-8")
    beside.rename(state / turns.FILE)


def said(state: Path) -> dict[str, Any]:
    status: dict[str, Any] = json.loads((state / "status.json").read_text("utf-8"))
    return status


def test_it_asks_and_waits_for_its_own_turn(tmp_path: Path) -> None:
    put(tmp_path, campaign=CAMPAIGN, tier="nfs", concurrency=9)  # an earlier agent did not take it
    status = Status(tmp_path / "status.json", CAMPAIGN, 3)
    found: list[int] = []

    def wait() -> None:
        found.append(turns.wait(tmp_path, CAMPAIGN, "nfs", status, lambda: None))

    thread = threading.Thread(target=wait)
    thread.start()
    try:
        for wrong in ({"campaign": "other", "tier": "nfs"}, {"campaign": CAMPAIGN, "tier": "s3"}):
            time.sleep(1.2)
            assert (said(tmp_path)["needs"], said(tmp_path)["turn"]) == ("turn", "nfs")
            put(tmp_path, **wrong, concurrency=1)
        time.sleep(1.2)
        assert not found
    finally:
        put(tmp_path, campaign=CAMPAIGN, tier="nfs", concurrency=2)
        thread.join(timeout=30)
    assert found == [2]
    assert (said(tmp_path)["needs"], said(tmp_path)["turn"]) == (None, None)
    assert not (tmp_path / turns.FILE).exists()


def test_it_does_not_wait_longer_than_it_may(tmp_path: Path) -> None:
    def over() -> None:
        raise Refusal("max_minutes", "over", "coldproof_max_minutes")

    status = Status(tmp_path / "status.json", CAMPAIGN, 3)
    with pytest.raises(Refusal, match="over"):
        turns.wait(tmp_path, CAMPAIGN, "nfs", status, over)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"campaign": 5}', "\udcff"])
def test_nonsense_is_no_turn(tmp_path: Path, text: str) -> None:
    (tmp_path / turns.FILE).write_text(text, "utf-8", errors="surrogateescape")
    found = turns._read(tmp_path / turns.FILE)
    assert found is None or found.get("tier") is None
