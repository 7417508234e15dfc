"""Numbers as they are printed: none that was measured reads as zero."""

from __future__ import annotations

import pytest

from coldproof.stats import in_gb


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.534e9, "1.53"), (1e8, "0.10"), (94.3e6, "0.094"), (5.2e6, "0.0052")],
)
def test_slow_storage_keeps_two_digits(value: float, text: str) -> None:
    assert in_gb(value) == text
