"""Equal parts of records are kept once, and nothing else is taken for equal."""

from __future__ import annotations

from typing import Any

import pytest

from coldproof.pool import Pool


def kept(pool: Pool, **record: Any) -> dict[str, Any]:
    return pool.record(record, ready=True)


def test_equal_parts_are_one_and_the_same() -> None:
    pool = Pool()
    mine = kept(pool, host={"cpu": "x", "cores": 4}, engine={"env": {"A": "1"}, "port": 1})
    other = kept(pool, host={"cores": 4, "cpu": "x"}, engine={"env": {"A": "1"}, "port": 2})
    assert mine["host"] is other["host"]
    assert mine["engine"]["env"] is other["engine"]["env"]
    assert (mine["engine"]["port"], other["engine"]["port"]) == (1, 2)


@pytest.mark.parametrize(("one", "two"), [(1, True), (1, 1.0), (0, False), ("1", 1), (None, "")])
def test_what_python_calls_equal_is_told_apart(one: object, two: object) -> None:
    pool = Pool()
    assert repr(kept(pool, host={"a": one})["host"]) == repr({"a": one})
    assert repr(kept(pool, host={"a": two})["host"]) == repr({"a": two})


def test_a_log_is_kept_where_a_start_failed() -> None:
    record = {"log": {"tail": ["boom"], "file": "logs/1"}, "novelty": [1]}
    assert Pool().record(record, ready=False) == record
    assert Pool().record(record, ready=True) == {"log": {"file": "logs/1"}, "novelty": [1]}
