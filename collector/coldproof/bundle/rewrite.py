"""Rewrites a campaign's documents: secrets hidden, names replaced, checksums made anew.

A record whose checksum was right has a right one afterwards, so that `coldproof report` reads the
bundle; one that was damaged stays so.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from coldproof.bundle import rules
from coldproof.bundle.names import kind_of, names, replaceable
from coldproof.bundle.pseudonyms import Pseudonyms
from coldproof.bundle.secrets import HIDDEN, hide, secret_name
from coldproof.files import canonical_json, sha256_text
from coldproof.known_schemas import known_fields
from coldproof.names import split_run_id

WORD = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?")
JOINT = re.compile(r"([_.-]+)")
DOMAIN = re.compile(r"(?:\.[A-Za-z][A-Za-z0-9-]*){2,}")
HASH = re.compile(r"[0-9a-f]{64}")
HASHES = ("manifest", "checksum", "digest", "weights")
ARGUMENTS = ("argv", "args", "engine_args", "container_args", "engine_command")
ENVIRONMENTS = ("env", "engine_env")
FOREIGN = ("others", "holders")  # somebody else's processes
# Variables of engines and libraries; what else is in an environment is nobody's business.
TOLD = re.compile(
    r"(?:VLLM|SGLANG|HF|TRANSFORMERS|TOKENIZERS|TORCH|PYTORCH|TORCHINDUCTOR|TRITON|FLASHINFER|CUDA"
    r"|NCCL|NVIDIA|OMP|MKL|GGML|LLAMA|PYTHON|SAFETENSORS|LD|LC)_?\w*|LANG|PATH|HOME|USER|LOGNAME|TZ"
    r"|TMPDIR"
)


class Rewriter:
    """What is known of a campaign's names, and the rewriting of its texts and documents."""

    def __init__(self, keep_names: bool) -> None:
        self.given = Pseudonyms()
        self.hidden = 0
        self._keep = keep_names
        self._names: dict[str, str] = {}
        self._words: dict[str, str] = {}
        self._most_parts = 0
        self._odd: re.Pattern[str] | None = None
        self._hashes: set[str] = set()
        self._paths: tuple[str, ...] = ()
        self._fields = known_fields()
        self._word = functools.lru_cache(maxsize=1 << 16)(self._without_names)

    def learn(self, nodes: Iterable[str], documents: Iterable[Any]) -> None:
        """Find the names in all documents, before the first is rewritten."""
        listed = sorted(set(nodes))
        found: set[tuple[str, str]] = set()
        for document in documents:
            found.update(names(document))
            self._hashes.update(_hashes(document))
        self.given.nodes(listed)
        self._names = {name: self.given.of("node", name) for name in listed}
        for kind, name in sorted(found):
            if kind != "path":
                self._names.setdefault(name, self.given.of(kind, name))
        self._paths = tuple(
            sorted(
                (name for kind, name in found if kind == "path"), key=lambda one: (-len(one), one)
            )
        )
        for name, pseudonym in self._names.items():
            self._look_for(name, pseudonym)
        for kind, name in sorted({*found, *(("node", one) for one in listed)}):
            first, dot, domain = name.partition(".")
            if kind in ("node", "host") and dot and not rules.IPV4.fullmatch(name):
                self._look_for(first, self._names[name])
                self._look_for(domain, self.given.of("host", domain))
            elif kind == "model":
                self._look_for(name.rpartition("/")[2], self._names[name])
        self._most_parts = max((len(JOINT.split(one)) for one in self._words), default=0)
        odd = sorted(
            (one for one in self._words if not WORD.fullmatch(one)), key=lambda one: -len(one)
        )
        if odd:
            self._odd = re.compile("|".join(map(re.escape, odd)), re.IGNORECASE)

    def _look_for(self, name: str, pseudonym: str) -> None:
        """Have a name replaced wherever it is a word of its own."""
        if replaceable(name) and name not in self._fields:
            self._words.setdefault(name.lower(), pseudonym)

    def node(self, name: str) -> str:
        """Return what a node is called in the bundle."""
        return name if self._keep else self._names.get(name) or self.given.of("node", name)

    def text(self, text: str) -> str:
        """Return any text fit to be sent."""
        clean, hidden = hide(text.encode("utf-8", "replace").decode("utf-8"))
        self.hidden += hidden
        if self._keep:
            return clean
        clean = rules.paths(rules.urls(clean, self.given), self.given, self._paths)
        if self._odd:
            clean = self._odd.sub(lambda found: self._words[found[0].lower()], clean)
        clean = WORD.sub(lambda found: self._word(found[0]), clean)
        clean = rules.point_away(clean, self.given)
        return rules.identifiers(clean, self.given, self._hashes.__contains__)

    def document(self, value: Any, key: str = "", inside: str = "") -> Any:
        """Return a JSON value fit to be sent; `key` is its own, `inside` that of its parent."""
        if isinstance(value, Mapping):
            return {
                self._key(str(name), key): self._member(str(name), one, key)
                for name, one in value.items()
            }
        if isinstance(value, list):
            if key in ARGUMENTS:
                return self._arguments(value)
            return [self.document(one, key, inside) for one in value]
        return self._string(value, key, inside) if isinstance(value, str) else value

    def record(self, document: Any) -> Any:
        """Return a document that may bear a checksum of itself."""
        clean = self.document(document)
        if isinstance(document, Mapping) and "checksum" in document:
            content = {name: one for name, one in document.items() if name != "checksum"}
            if document["checksum"] == sha256_text(canonical_json(content)):
                content = {name: one for name, one in clean.items() if name != "checksum"}
                clean["checksum"] = sha256_text(canonical_json(content))
        return clean

    def _key(self, name: str, inside: str) -> str:
        if inside == "nodes":
            return self.node(name)
        return name if name in self._fields else self.text(name)

    def _member(self, name: str, value: Any, inside: str) -> Any:
        if inside in ENVIRONMENTS and isinstance(value, str | int | float):
            if not TOLD.fullmatch(name) or secret_name(name, str(value)):
                return self._hide()
        elif isinstance(value, str) and name not in self._fields and secret_name(name, value):
            return self._hide()
        if name in FOREIGN:
            return _without_text(value)
        if name == "command" and isinstance(value, str):
            return HIDDEN  # paths, users and variables of whoever typed it
        return self.document(value, name, inside)

    def _string(self, value: str, key: str, inside: str) -> str:
        parts = split_run_id(value) if key == "run_id" else None
        if parts:
            return f"{parts[0]}.{self.node(parts[1])}.{parts[2]:04d}"
        kind = None if self._keep or not value else kind_of(key, value, inside)
        if kind and kind != "path":
            return self._names.get(value) or self.given.of(kind, value)
        return self.text(value)

    def _arguments(self, words: list[Any]) -> list[Any]:
        shown: list[Any] = []
        option = ""
        for word in words:
            if isinstance(word, str) and word.startswith("-"):
                option = word
                shown.append(self.text(word))
            elif option and "=" not in option and secret_name(option, str(word)):
                shown.append(self._hide())
            else:
                shown.append(self.document(word))
        return shown

    def _hide(self) -> str:
        self.hidden += 1
        return HIDDEN

    def _without_names(self, word: str) -> str:
        """Return a word with every name in it replaced: gpu-01 in gpu-01.0004 and in a_gpu-01."""
        if not self._words or len(word) < 3:
            return word
        parts = JOINT.split(word)
        shown, at = "", 0
        while at < len(parts):
            for end in range(min(len(parts), at + self._most_parts), at, -1):
                name = self._words.get("".join(parts[at:end]).lower())
                if name is not None:
                    rest = "".join(parts[end:])
                    if DOMAIN.fullmatch(rest):  # the long form of a host's name
                        return f"{shown}{name}.{self.given.of('host', rest[1:])}"
                    shown, at = shown + name, end
                    break
            else:
                shown, at = shown + parts[at], at + 1
        return shown


def _without_text(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {f"{HIDDEN}-{n}": _without_text(one) for n, one in enumerate(value.values())}
    if isinstance(value, list):
        return [_without_text(one) for one in value]
    return HIDDEN if isinstance(value, str) else value


def _hashes(value: Any, key: str = "", inside: str = "") -> Iterable[str]:
    if isinstance(value, Mapping):
        for name, one in value.items():
            yield from _hashes(one, str(name), key)
    elif isinstance(value, list):
        for one in value:
            yield from _hashes(one, key, inside)
    elif isinstance(value, str) and (key in HASHES or inside in HASHES) and HASH.fullmatch(value):
        yield value


def load(text: str) -> Any:
    """Return the JSON in `text`; None if it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
