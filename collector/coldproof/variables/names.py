"""Names that do not exist, and text where a list or a dictionary belongs."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from typing import Any

PREFIX = "coldproof_"
# The group of nodes: the playbooks read it, not the roles.
OF_PLAYBOOKS = "coldproof_hosts"


def unknown(names: Collection[str], known: Collection[str]) -> str:
    """Returns which of `names` do not exist and what may have been meant; empty if all do."""
    existing = sorted({*known, OF_PLAYBOOKS})
    wrong = sorted(name for name in names if name.startswith(PREFIX) and name not in existing)
    return "; ".join(
        f"there is no variable {name}: did you mean "
        f"{difflib.get_close_matches(name, existing, n=1, cutoff=0)[0]}?"
        for name in wrong
    )


def texts(values: Mapping[str, Any], specs: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Returns the lists and dictionaries that were given as text, as ``-e name=value`` does."""
    return [
        name
        for name, spec in specs.items()
        if spec["type"] in ("list", "dict") and isinstance(values.get(name), str)
    ]
