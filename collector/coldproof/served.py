"""The command and environment that a server was started with, without what each start chooses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from coldproof.names import CAMPAIGN
from coldproof.runs import dig

WORDS_READ = 100
# The agent gives these to every server; runs.jsonl has their values.
EVERYWHERE = frozenset(
    ["HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "PYTHONUNBUFFERED", "TMPDIR", "TZ", "USER"]
)
# Where the agent puts fresh compile caches.
PRIVATE = re.compile(rf".*/campaigns/{CAMPAIGN.pattern}/compile-cache/")
CHOSEN = (("port", "PORT"), ("model_id", "MODEL_ID"))


def arguments(record: Mapping[str, Any]) -> list[str]:
    """Return the server's command line; port and model id are placeholders. Not safe to print."""
    argv = dig(record, "engine", "argv")
    if not isinstance(argv, list):
        return []
    chosen = {str(dig(record, "engine", field)): shown for field, shown in CHOSEN}
    return [chosen.get(str(word), str(word)) for word in argv[:WORDS_READ]]


def environment(record: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables that were set for this server alone, sorted. Not safe to print.

    Of fresh compile caches the folder, which is the campaign's own, is a placeholder.
    """
    given = dig(record, "engine", "env")
    if not isinstance(given, Mapping):
        return {}
    return {
        name: PRIVATE.sub("FRESH/", str(given[name]), count=1)
        for name in sorted(given)
        if name not in EVERYWHERE
    }
