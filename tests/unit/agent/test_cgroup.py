"""Bytes of a stack of block devices, each counted once."""

from __future__ import annotations

import pytest

from coldproof_agent.cgroup import stacked

GB = 10**9


@pytest.mark.parametrize(
    ("read", "below", "expected"),
    [
        pytest.param({}, {}, 0, id="nothing"),
        pytest.param({"259:0": 5}, {}, 5, id="one disk"),
        pytest.param({"259:0": 5, "8:0": 7}, {}, 12, id="two disks"),
        pytest.param(
            {"253:0": 14 * GB, "259:0": 16 * GB}, {"253:0": {"259:0"}}, 16 * GB,
            id="a logical volume, and a partition beside it",
        ),
        pytest.param(
            {"253:0": 4096, "259:0": 2 * GB}, {"253:0": {"259:0"}}, 2 * GB,
            id="a warm volume, and cold engine files on the disk below it",
        ),
        pytest.param(
            {"7:0": 40, "259:0": 0}, {"7:0": {"259:0"}}, 40, id="a loop device over a cached file"
        ),
        pytest.param(
            {"9:0": 100, "8:0": 60, "8:16": 50}, {"9:0": {"8:0", "8:16"}}, 110,
            id="an array, and a disk of it by itself",
        ),
        pytest.param(
            {"253:0": 10, "253:1": 20, "259:0": 35},
            {"253:0": {"259:0"}, "253:1": {"259:0"}}, 35,
            id="two volumes on a disk",
        ),
        pytest.param(
            {"7:0": 40, "253:0": 45, "259:0": 52},
            {"7:0": {"253:0", "259:0"}, "253:0": {"259:0"}}, 52,
            id="three levels",
        ),
        pytest.param(
            {"253:0": 10, "8:0": 3}, {"253:0": {"259:0"}}, 13, id="a lower one that read nothing"
        ),
    ],
)  # fmt: skip
def test_each_byte_is_counted_once(
    read: dict[str, int], below: dict[str, set[str]], expected: int
) -> None:
    assert stacked(read, below) == expected
