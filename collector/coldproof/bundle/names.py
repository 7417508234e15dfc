"""The names that stand in a campaign's files: found where they belong, replaced everywhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from coldproof.runs import COMPILE, MODES, OUTCOMES, STATES

# What a field of this name holds is a name of this kind, whatever it looks like.
KINDS = {
    "node": "node",
    "hostname": "host",
    "model": "model",
    "user": "user",
    "engine_user": "user",
    "USER": "user",
    "LOGNAME": "user",
    "shared": "backend",
    "container_image": "image",
    "image": "image",
    "serial": "id",
    "uuid": "id",
    "wwn": "id",
    "path": "path",
    "python": "path",
    "engine_python": "path",
    "HOME": "path",
}
MODEL_FOLDERS = ("tier_paths", "weights")
# Everybody has them; replaced as names they would take sense from every line.
ORDINARY = frozenset(
    [*MODES, *STATES, *OUTCOMES, *COMPILE, "root", "nobody", "localhost", "default", "none", "null",
     "true", "false", "vllm", "sglang", "custom", "reference", "transformers", "llama-server",
     "engine", "weights", "model", "node", "server", "python", "process", "docker", "podman",
     "linux", "info", "error", "warning", "gpu", "cpu", "cuda", "host", "guest", "client"]
)  # fmt: skip
SHORTEST = 3


def names(document: Any, inside: str = "") -> Iterator[tuple[str, str]]:
    """Yield kind and name of what `document` holds, each as often as it stands there."""
    if isinstance(document, Mapping):
        for key, value in document.items():
            yield from _named(str(key), value, inside)
            yield from names(value, str(key))
    elif isinstance(document, list):
        for value in document:
            yield from names(value, inside)


def _named(key: str, value: Any, inside: str) -> Iterator[tuple[str, str]]:
    if inside == "nodes" and isinstance(value, Mapping):
        yield "node", key
    if not isinstance(value, str) or not value:
        return
    if inside in MODEL_FOLDERS and value.startswith("/"):
        yield "path", value.rstrip("/")
        yield "model", value.rstrip("/").rpartition("/")[2]
    if key == "source" and ":/" in value:
        yield "host", value.partition(":/")[0]
    kind = kind_of(key, value, inside)
    if kind == "path" and value.startswith(("/home/", "/Users/")):
        yield "user", value.split("/")[2]
    if kind:
        yield kind, value


def kind_of(key: str, value: str, inside: str) -> str | None:
    """Return the kind of name that a field holds; None if it holds none."""
    kind = KINDS.get(key)
    if kind == "model" and inside in ("storage", "gpu"):  # what the disk calls itself
        return None
    if kind == "path":
        return kind if value.startswith("/") and key != "python" else None
    if kind == "user" and value in ORDINARY:
        return None
    return kind


def replaceable(name: str) -> bool:
    """Whether a name may be looked for in any text: not too short, and no ordinary word."""
    return len(name) >= SHORTEST and name.lower() not in ORDINARY and not name.isdigit()
