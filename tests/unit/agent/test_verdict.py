"""The table of proof: every cell of it, from evidence alone."""

from __future__ import annotations

from typing import Any, Optional

import pytest

from coldproof_agent.residency import Residency
from coldproof_agent.verdict import Evidence, judge

GIB = 1 << 30


def look(share: Optional[float], other: Optional[float] = None, total: int = GIB) -> Residency:
    """Returns what two witnesses say; None: none may look."""
    if share is None:
        return Residency(total, None, None, None, {}, {}, "no witness (not the owner)")
    both = (share, share if other is None else other)
    said = {"cachestat": both[0], "mincore": both[1]}
    return Residency(total, round(max(both) * total), min(both), max(both), said, {}, None)


def evidence(**changes: Any) -> Evidence:
    """Returns the evidence of a good cold start of 1 GiB, with changes."""
    good: dict[str, Any] = {
        "mode": "cold", "ready": True, "method": "evict", "weights": look(0.0),
        "engine": look(0.0),
        "weights_bytes": GIB, "weights_logical": GIB, "expected_bytes": 2 * GIB,
        "device_bytes": 2 * GIB, "process_bytes": 2 * GIB, "devices": (2 * GIB, 2 * GIB),
        "engine_held": True,
        "network_bytes": None, "network": False, "guest": False, "unaccounted": None,
        "holders": [],
    }  # fmt: skip
    return Evidence(**{**good, **changes})


WARM: dict[str, Any] = {
    "mode": "warm", "weights": look(1.0), "engine": look(1.0), "expected_bytes": 0,
    "device_bytes": 0, "process_bytes": 0, "devices": (0, 0),
}  # fmt: skip

# The weights on a mount, the engine on a disk.
NFS: dict[str, Any] = {
    "network": True, "devices": None, "device_bytes": GIB, "network_bytes": GIB,
}  # fmt: skip

CASES: list[tuple[str, dict[str, Any], str, Optional[str]]] = [
    ("good", {}, "proven_cold", "weights+engine"),
    ("guest", {"guest": True}, "proven_cold", "weights+engine+guest"),
    ("the whole host", {"method": "drop_caches", "dropped": 0.0}, "proven_cold", "host"),
    ("a drop without effect", {"method": "drop_caches", "dropped": 1.0}, "proven_cold",
     "weights+engine"),
    ("a drop that was not looked at", {"method": "drop_caches"}, "proven_cold", "weights+engine"),
    ("a reboot", {"method": "reboot", "same_boot": False}, "proven_cold", "host"),
    ("a reboot that was none", {"method": "reboot", "same_boot": True}, "refuted", "host"),
    ("1 % resident", {"weights": look(0.01)}, "proven_cold", "weights+engine"),
    ("more than 1 % resident", {"weights": look(0.011)}, "refuted", None),
    ("weights warm, engine cold", {"weights": look(1.0)}, "refuted", None),
    ("engine warm", {"engine": look(0.5)}, "proven_cold", "weights"),
    ("engine warm, dropped", {"engine": look(0.5), "method": "drop_caches"}, "proven_cold",
     "weights"),
    ("engine unknown", {"engine": None}, "proven_cold", "weights"),
    ("engine hidden", {"engine": look(None)}, "proven_cold", "weights"),
    ("engine disputed", {"engine": look(0.0, 0.5)}, "proven_cold", "weights"),
    ("engine on no named device", {"engine_held": False}, "proven_cold", "weights"),
    ("weights hidden", {"weights": look(None)}, "unproven", None),
    ("weights disputed", {"weights": look(0.0, 0.9)}, "unproven", None),
    ("0.9 read", {"process_bytes": int(1.81 * GIB)}, "proven_cold", "weights+engine"),
    ("less read", {"process_bytes": int(1.79 * GIB)}, "refuted", "weights+engine"),
    ("nothing read", {"process_bytes": 0}, "refuted", "weights+engine"),
    ("not counted", {"process_bytes": None}, "unproven", "weights+engine"),
    ("the disk below read nothing", {"devices": (2 * GIB, 0)}, "refuted", "weights+engine"),
    ("others read as much", {"devices": (3 * GIB, 3 * GIB)}, "unproven", "weights+engine"),
    ("others read below a loop", {"devices": (2 * GIB, int(2.3 * GIB))}, "unproven",
     "weights+engine"),
    ("others read little", {"devices": (int(2.1 * GIB), int(2.1 * GIB))}, "proven_cold",
     "weights+engine"),
    ("sparse", {"weights_logical": 2 * GIB}, "unproven", "weights+engine"),
    ("no device", {"devices": None}, "unproven", "weights+engine"),
    ("FUSE", {"unaccounted": "FUSE"}, "unproven", "weights+engine"),
    ("never ready", {"ready": False, "process_bytes": None}, "unproven", "weights+engine"),
    ("NFS", NFS, "proven_cold", "weights+engine+client"),
    ("NFS that fetched nothing", {**NFS, "network_bytes": 0}, "refuted", "weights+engine+client"),
    ("NFS that fetched for a bystander", {**NFS, "process_bytes": GIB}, "unproven",
     "weights+engine+client"),
    ("NFS, others fetch too", {**NFS, "network_bytes": 2 * GIB}, "unproven",
     "weights+engine+client"),
    ("NFS, not counted", {**NFS, "process_bytes": None}, "unproven", "weights+engine+client"),
    ("an uncounted network", {**NFS, "network_bytes": None}, "unproven",
     "weights+engine+client"),
    ("warm", WARM, "proven_warm", None),
    ("95 % resident", {**WARM, "weights": look(0.95)}, "proven_warm", None),
    ("94 % resident", {**WARM, "weights": look(0.94)}, "refuted", None),
    ("one witness says less", {**WARM, "weights": look(0.94, 0.955)}, "refuted", None),
    ("engine half warm", {**WARM, "engine": look(0.5)}, "refuted", None),
    ("witnesses disagree", {**WARM, "weights": look(1.0, 0.5)}, "unproven", None),
    ("weights hidden, few bytes", {**WARM, "weights": look(None)}, "proven_warm", None),
    ("weights hidden, many bytes", {**WARM, "weights": look(None), "process_bytes": GIB},
     "refuted", None),
    ("5 % read", {**WARM, "process_bytes": GIB // 20}, "proven_warm", None),
    ("more read", {**WARM, "process_bytes": GIB // 19}, "refuted", None),
    ("1 GiB of 100 GiB", {**WARM, "weights_bytes": 100 * GIB, "weights_logical": 100 * GIB,
      "process_bytes": GIB + 1},
     "refuted", None),
    ("not counted, warm", {**WARM, "process_bytes": None}, "unproven", None),
]  # fmt: skip


@pytest.mark.parametrize(("_what", "changes", "state", "scope"), CASES, ids=[c[0] for c in CASES])
def test_the_table_of_proof(
    _what: str, changes: dict[str, Any], state: str, scope: Optional[str]
) -> None:
    found = judge(evidence(**changes))
    assert found.state == state, found
    assert found.scope == scope
    assert bool(found.reasons) == (state in ("refuted", "unproven"))


def test_bytes_above_the_expected_are_flagged_only() -> None:
    found = judge(evidence(process_bytes=int(2.3 * GIB)))
    assert found.state == "proven_cold"
    assert found.flags == ["bytes_above_expected"]


def test_who_holds_the_weights_is_named() -> None:
    found = judge(evidence(weights=look(0.5), holders=["pid 42 (cat)"]))
    assert "mapped by pid 42 (cat)" in found.reasons[0]


def test_what_was_not_looked_at_is_said() -> None:
    assert "engine_files_outside_scope" in judge(evidence(engine=None)).flags
    assert "weights_by_bytes_alone" in judge(evidence(**{**WARM, "weights": look(None)})).flags


def test_evidence_against_outweighs_what_is_missing() -> None:
    found = judge(evidence(weights=look(1.0), process_bytes=None))
    assert found.state == "refuted"
    assert len(found.reasons) == 2


def test_weights_that_are_unread_at_ready_are_not_said_to_be_in_a_cache() -> None:
    """Engines that only map their weights are ready before they have read them all."""
    lazy = {"process_bytes": int(1.7 * GIB), "devices": (int(1.7 * GIB), int(1.7 * GIB))}
    assert "in a cache" in judge(evidence(**lazy)).reasons[0]
    assert "in a cache" in judge(evidence(**lazy, unread=0.1)).reasons[0]
    found = judge(evidence(**lazy, unread=0.3))
    assert found.state == "refuted"
    assert len(found.reasons) == 3
    assert all("30.0 % of the weights are unread at ready" in why for why in found.reasons)
    seen = {**WARM, "weights": look(0.7), "damon": True}
    assert "DAMON" in judge(evidence(**seen, unread=0.0)).reasons[-1]
    reasons = judge(evidence(**seen, unread=0.3)).reasons
    assert reasons[-1] == "30.0 % of the weights were in no page cache at ready"
    assert not any("DAMON" in why for why in reasons)
