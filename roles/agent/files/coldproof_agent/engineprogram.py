"""Engines that are a program of their own: where it is, its version, and what it must be told."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

from coldproof_agent import bounded, cmdline, durable
from coldproof_agent.errors import Refusal

VERSION_S = 30.0
# Folders that belong to the host: only the program itself is the engine's there.
SHARED = ("/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin")


def split(data: Mapping[str, Any], command: Sequence[str]) -> tuple[str, list[str]]:
    """Returns an engine's program and the rest of a given command line.

    A command of one word is only the program where the profile knows its arguments.
    """
    known = str(data.get("program", ""))
    if known and len(command) == 1:
        return command[0], []
    return known, list(command)


def find(data: Mapping[str, Any], command: Sequence[str]) -> Optional[str]:
    """Returns the program's real path; None if it is not there or this engine has none."""
    name = command[0] if command else str(data.get("program", ""))
    found = shutil.which(name) if name and "program" in data else None
    return os.path.realpath(found) if found else None


def roots(data: Mapping[str, Any], command: Sequence[str]) -> list[str]:
    """Returns where the program's own files are: its folder, or itself in a folder of the host."""
    program = find(data, command)
    if program is None:
        return []
    folder = os.path.dirname(program)
    return [program] if folder in SHARED else [folder]


def version(data: Mapping[str, Any], command: Sequence[str], state: Path) -> Optional[str]:
    """Returns what the program says of itself; it is asked once, and again after it changed.

    Never between cold and ready: starting it would bring it into the page cache.
    """
    program = find(data, command)
    if program is None or "version" not in data:
        return None
    info = os.stat(program)
    key = [program, info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns]
    kept = state / "engine-version.json"
    try:
        known = json.loads(kept.read_bytes())
        if known["program"] == key:
            return None if known["version"] is None else str(known["version"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    words = [word.replace("{program}", program) for word in data["version"]["words"]]
    try:
        _, text = bounded.run(words, VERSION_S)
    except (OSError, bounded.TookTooLongError):
        text = ""
    found = re.search(str(data["version"]["pattern"]), text)
    said = found[1].strip()[:100] if found else None
    if state.is_dir():
        durable.replace(kept, json.dumps({"program": key, "version": said}).encode())
    return said


def need_model(data: Mapping[str, Any], argv: Sequence[str], path: str) -> None:
    """Refuses a command line that starts an engine without a model: it is ready at once.

    Args:
        data: the profile; its ``needs_model`` has ``options`` that take the model, or ``word`` if
            the path stands by itself.
        argv: the command line.
        path: of the model.

    Raises:
        Refusal: code ``engine_without_model``, with the profile's reason.
    """
    rule = data.get("needs_model")
    if not rule:
        return
    given = cmdline.value(argv, rule["options"]) if "options" in rule else None
    if not given and not (rule.get("word") and path in argv):
        raise Refusal("engine_without_model", str(rule["why"]), "coldproof_engine_command")
