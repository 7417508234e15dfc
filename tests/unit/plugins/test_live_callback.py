"""The callback knows the task that follows agents, whichever release of ansible-core it is in."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from plugins.callback.live import FOLLOWED, follows


@pytest.mark.parametrize(
    ("registers", "told"),
    [
        (FOLLOWED, True),
        ({FOLLOWED: "the expression of its result"}, True),
        ("another", False),
        ({"another": ""}, False),
        ({}, False),
        (None, False),
    ],
)
def test_a_task_follows_agents_by_what_it_registers(registers: object, told: bool) -> None:
    assert follows(SimpleNamespace(register=registers)) is told


def test_a_task_without_such_a_field_does_not_follow() -> None:
    assert not follows(SimpleNamespace())
