"""An agent that does not say that it begins: refused in bounded time, and none is left."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from coldproof_agent import detach, locks
from tests.unit.agent import plans

DIES = [sys.executable, "-c", "raise SystemExit(3)"]
DAWDLES = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        pytest.param(DIES, "agent_died", "exit status 3", id="dies"),
        pytest.param(DAWDLES, "agent_slow", "did not begin within 2 s, and was ended", id="slow"),
    ],
)
def test_a_silent_agent_is_a_refusal_and_ended(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    tiny: Path,
    words: list[str],
    code: str,
    why: str,
) -> None:
    begun: list[int] = []
    popen = detach.subprocess.Popen

    class Popen(popen):  # type: ignore[misc, valid-type]
        def __init__(self, *given: object, **more: object) -> None:
            super().__init__(*given, **more)
            begun.append(self.pid)

    monkeypatch.setattr(detach.subprocess, "Popen", Popen)
    monkeypatch.setattr(detach, "_scope", lambda name: [])
    monkeypatch.setattr(detach, "myself", lambda: words)
    monkeypatch.setattr(detach, "READY_S", 2.0)
    monkeypatch.setattr(detach, "DYING_S", 1.0)
    campaign = plans.put(tmp_path, plans.make(tiny))
    answer = detach.start(tmp_path)
    assert answer["ok"] is False
    [refusal] = answer["refusals"]
    assert refusal["code"] == code
    assert why in refusal["message"]
    assert str(tmp_path / "campaigns" / campaign / "agent.log") in refusal["message"]
    assert begun
    assert not Path(f"/proc/{begun[-1]}").exists()
    assert locks.holder(tmp_path) is None
