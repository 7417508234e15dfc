"""Turns that were given and not ended are counted, over invocations."""

from __future__ import annotations

from pathlib import Path

import pytest

from coldproof import turns
from coldproof.errors import InputError


def test_a_turn_counts_until_its_node_ended_it(tmp_path: Path) -> None:
    assert turns.hold(tmp_path, "gpu-01") == 1
    assert turns.hold(tmp_path, "gpu-01") == 1, "each look at it gives it again"
    assert turns.hold(tmp_path, "gpu-02") == 2
    turns.release(tmp_path, "gpu-01")
    assert turns.hold(tmp_path, "gpu-02") == 1
    turns.release(tmp_path, "gpu-03")


def test_a_name_that_is_no_nodes_is_no_path(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="usable node name"):
        turns.hold(tmp_path, "../x")
