"""How much of a set of files is in the page cache, by the witnesses that passed their test."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional

from coldproof_agent import witness
from coldproof_agent.files import PAGE, FileRef

# Two witnesses look one after the other, and cachestat counts pages that are still being read.
AGREEMENT = 0.02


class Residency(NamedTuple):
    """What the witnesses say of a set.

    ``low`` and ``high`` are the least and greatest resident share (0 to 1) of the expected bytes
    that a trusted witness saw; both None if there is none.
    """

    expected_bytes: int
    resident_bytes: Optional[int]
    low: Optional[float]
    high: Optional[float]
    witnesses: dict[str, float]
    untrusted: dict[str, str]
    reason: Optional[str]

    @property
    def known(self) -> bool:
        """Whether at least one trusted witness could look."""
        return self.high is not None

    @property
    def agreed(self) -> bool:
        """Whether the trusted witnesses agree."""
        return self.high is not None and self.low is not None and self.high - self.low <= AGREEMENT

    def as_dict(self, in_scope: bool) -> dict[str, Any]:
        """Returns the form of runs.jsonl."""
        return {
            "in_scope": in_scope,
            "expected_bytes": self.expected_bytes,
            "resident_bytes": self.resident_bytes,
            "fraction": None if self.high is None else round(self.high, 6),
            "witnesses": {name: round(share, 6) for name, share in self.witnesses.items()},
            "untrusted": self.untrusted,
            "reason": self.reason,
        }


def trusted(files: Sequence[FileRef], scratch: Sequence[Path], may_evict: bool) -> dict[str, str]:
    """Tests the witnesses on every device of a set.

    Args:
        files: the set, not empty.
        scratch: folders that may take an unnamed test file where they lie on the same device.
        may_evict: whether the set's own smallest file may be read and evicted for the test.

    Returns:
        by witness, an empty string if it counts for the whole set, else why not.
    """
    verdicts = dict.fromkeys(witness.WITNESSES, "")
    hidden = next((one for one in files if not witness.may_look(one)), None)
    if hidden is not None:
        why = f"not the owner of {hidden.path} and may not write it: the kernel hides the truth"
        return dict.fromkeys(verdicts, why)
    for dev in sorted({one.dev for one in files}):
        mine = [one for one in files if one.dev == dev and one.size]
        if not mine:
            continue
        found = _test_device(dev, mine, scratch, may_evict)
        for name, why in found.items():
            verdicts[name] = verdicts[name] or why
    return verdicts


def _test_device(
    dev: int, mine: Sequence[FileRef], scratch: Sequence[Path], may_evict: bool
) -> dict[str, str]:
    folders = [os.path.dirname(mine[0].path), *(str(folder) for folder in scratch)]
    for folder in folders:
        try:
            if os.stat(folder).st_dev != dev:
                continue
        except OSError:
            continue
        found = witness.test_on_scratch(folder)
        if found is not None:
            return found
    if may_evict:
        return witness.test_on_file(min(mine, key=lambda one: one.size))
    return dict.fromkeys(witness.WITNESSES, "could not be tested on this mount")


def look(files: Sequence[FileRef], verdicts: dict[str, str]) -> Residency:
    """Looks at a set with the witnesses that passed.

    Args:
        files: the set; ``expected`` bytes of each are what counts as all of it.
        verdicts: what :func:`trusted` returned.
    """
    expected = sum(one.expected for one in files)
    if not files or not expected:
        return Residency(0, None, None, None, {}, {}, "the set is empty")
    shares: dict[str, float] = {}
    untrusted = {name: why for name, why in verdicts.items() if why}
    for name in verdicts:
        if name in untrusted:
            continue
        try:
            seen = sum(min(count, one.expected) for one, count in resident(files, name))
        except OSError as error:
            untrusted[name] = f"{error.filename or ''}: {error.strerror}"
            continue
        shares[name] = seen / expected
    if not shares:
        why = "; ".join(f"{name}: {text}" for name, text in sorted(untrusted.items()))
        return Residency(expected, None, None, None, {}, untrusted, f"no witness ({why})")
    high = max(shares.values())
    low = min(shares.values())
    return Residency(expected, round(high * expected), low, high, shares, untrusted, None)


def resident(files: Sequence[FileRef], name: str) -> list[tuple[FileRef, int]]:
    """Returns the resident bytes of each file (clipped to its size) by one witness.

    Raises:
        OSError: a file cannot be opened or looked at.
    """
    count = witness.WITNESSES[name]
    found = []
    for one in files:
        if not one.size:
            found.append((one, 0))
            continue
        fd = os.open(one.path, os.O_RDONLY)
        try:
            found.append((one, min(count(fd, one.size) * PAGE, one.size)))
        except OSError as error:
            error.filename = one.path
            raise
        finally:
            os.close(fd)
    return found


def best(verdicts: dict[str, str]) -> Optional[str]:
    """Returns the cheapest trusted witness, if there is one."""
    return next((name for name in ("cachestat", "mincore") if not verdicts.get(name, "x")), None)
