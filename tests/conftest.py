"""Time for the random tests in their large counts."""

from __future__ import annotations

import pytest

from tests.counts import LONG, LONG_S


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items if LONG else ():
        item.add_marker(pytest.mark.timeout(LONG_S))
