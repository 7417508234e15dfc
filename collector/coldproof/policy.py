"""A policy: service classes with their budgets, read from YAML that a user wrote."""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from coldproof.errors import InputError

SCHEMA = "coldproof.policy/1"
DEFAULT = "default_policy.yml"
MOST_BYTES = 1 << 20
MOST_SECONDS = 86_400.0
WILD = re.compile(r"[*?\[]")
TOP = ("schema", "service_classes", "max_missing_nodes", "replicas", "rollout", "startup")
CLASS = ("name", "title", "cold_start_s", "warm_start_s", "required", "tiers", "variants")


@dataclass(frozen=True)
class ServiceClass:
    """A kind of service: its budgets in seconds (None: none), and where it applies."""

    name: str
    title: str
    cold_start_s: float | None
    warm_start_s: float | None
    required: bool
    tiers: Sequence[str]
    variants: Sequence[str]

    def applies(self, tier: str, variant: str) -> bool:
        """Whether a row of this tier and variant is held against the class."""
        return any(fnmatchcase(tier, pattern) for pattern in self.tiers) and any(
            fnmatchcase(variant, pattern) for pattern in self.variants
        )

    def unmeasured(self, places: Collection[tuple[str, str]]) -> list[str]:
        """Return the tiers and variants that the class names and that none it applies to has.

        Patterns are left out: they name whatever there is.
        """
        lacking = [
            f"tier {name}"
            for name in self.tiers
            if not WILD.search(name)
            and not any(tier == name and self.applies(tier, variant) for tier, variant in places)
        ]
        return lacking + [
            f"variant {name}"
            for name in self.variants
            if not WILD.search(name)
            and not any(variant == name and self.applies(tier, variant) for tier, variant in places)
        ]


@dataclass(frozen=True)
class Policy:
    """All that a review is told: classes, replicas, batch, margin. Times in seconds."""

    name: str
    classes: Sequence[ServiceClass]
    max_missing_nodes: int
    replicas: int
    per_node: int
    batch: int
    margin: float
    period_s: int


class _Loader(yaml.SafeLoader):
    """A loader that refuses a key given twice: YAML would let the last one win in silence."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key) for key, _ in node.value]
    for number, key in enumerate(keys):
        if key in keys[:number]:
            line = node.value[number][0].start_mark.line + 1
            raise InputError(f"{key!r} stands twice (line {line}); keep one of them")
    return {key: loader.construct_object(value, deep=True)
            for key, (_, value) in zip(keys, node.value, strict=True)}  # fmt: skip


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def default_text() -> str:
    """Return the text of the policy that comes with coldproof."""
    return resources.files("coldproof").joinpath(DEFAULT).read_text("utf-8")


def default_document() -> dict[str, Any]:
    """Return the policy that comes with coldproof as it would be in JSON."""
    document: dict[str, Any] = yaml.safe_load(default_text())
    return document


@functools.cache
def default_policy() -> Policy:
    """Return the policy that comes with coldproof."""
    return _parse(default_text(), "default policy", {})


def load_policy(path: Path) -> Policy:
    """Return the policy in `path`.

    Raises InputError naming the file, the field and what to write instead.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}; give a policy's file") from error
    if len(data) > MOST_BYTES:
        raise InputError(f"{path}: larger than {MOST_BYTES} bytes; this is no policy")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 ({error.reason}); save it as UTF-8") from error
    default = default_document()
    return _parse(text, path.name, default, str(path))


def _parse(text: str, name: str, default: Mapping[str, Any], where: str = DEFAULT) -> Policy:
    try:
        document = yaml.load(text, _Loader)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    except (yaml.YAMLError, ValueError, RecursionError, TypeError) as error:
        told = " ".join(str(error).split())[:300]
        raise InputError(f"{where}: not YAML ({told}); compare it with --show-policy") from error
    fields = _Fields(where, "", document, TOP)
    schema = fields.value("schema")
    if schema != SCHEMA:
        raise fields.wrong("schema", schema, f"the schema {SCHEMA}", SCHEMA)
    rest = {key: {**default.get(key, {}), **fields.part(key)} for key in TOP[3:]}
    missing = fields.value("max_missing_nodes", default.get("max_missing_nodes"))
    replicas = _Fields(where, "replicas.", rest["replicas"], ("count", "per_node"))
    rollout = _Fields(where, "rollout.", rest["rollout"], ("batch",))
    startup = _Fields(where, "startup.", rest["startup"], ("margin", "period_s"))
    return Policy(
        name=name,
        classes=_classes(fields),
        max_missing_nodes=fields.whole("max_missing_nodes", missing, least=0),
        replicas=replicas.whole("count"),
        per_node=replicas.whole("per_node"),
        batch=rollout.whole("batch"),
        margin=startup.number("margin", 1.0, 100.0, "1.5"),
        period_s=startup.whole("period_s"),
    )


def _classes(fields: _Fields) -> list[ServiceClass]:
    given = fields.value("service_classes")
    if not isinstance(given, list) or not 0 < len(given) <= 100:
        hint = "a list of 1 to 100 classes"
        raise fields.wrong("service_classes", given, hint, "- {name: demo, cold_start_s: 300}")
    classes = [
        _class(_Fields(fields.where, f"service_classes[{number}].", one, CLASS))
        for number, one in enumerate(given)
    ]
    names = [one.name for one in classes]
    for number, name in enumerate(names):
        if name in names[:number]:
            raise InputError(
                f"{fields.where}: service_classes[{number}].name: {name!r} stands twice; "
                "give each class its own name"
            )
    return classes


def _class(fields: _Fields) -> ServiceClass:
    name = fields.text("name")
    budgets = {
        key: fields.number(key, 0.001, MOST_SECONDS, "120") if fields.has(key) else None
        for key in ("cold_start_s", "warm_start_s")
    }
    if not any(budgets.values()):
        raise InputError(
            f"{fields.where}: {fields.path}cold_start_s: missing, and warm_start_s too; "
            "give the class a budget in seconds"
        )
    required = fields.value("required", True)
    if not isinstance(required, bool):
        raise fields.wrong("required", required, "true or false", "true")
    return ServiceClass(
        name=name,
        title=fields.text("title") if fields.has("title") else name,
        cold_start_s=budgets["cold_start_s"],
        warm_start_s=budgets["warm_start_s"],
        required=required,
        tiers=fields.patterns("tiers"),
        variants=fields.patterns("variants"),
    )


class _Fields:
    """The fields of one mapping of a policy; every error names file and field."""

    def __init__(self, where: str, path: str, given: Any, known: Sequence[str]) -> None:
        self.where, self.path = where, path
        if not isinstance(given, Mapping):
            field = path.rstrip(".") or "the whole file"
            raise InputError(f"{where}: {field}: not a mapping; it holds {', '.join(known)}")
        for key in given:
            if key not in known:
                raise InputError(
                    f"{where}: {path}{str(key)[:80]}: unknown field; known are {', '.join(known)}"
                )
        self._given = given

    def wrong(self, key: str, value: object, expected: str, example: str) -> InputError:
        told = "missing" if value is None else f"{str(value)[:80]!r} is not {expected}"
        return InputError(f"{self.where}: {self.path}{key}: {told}; write e.g. {example}")

    def has(self, key: str) -> bool:
        return self._given.get(key) is not None

    def value(self, key: str, default: Any = None) -> Any:
        return self._given.get(key, default)

    def part(self, key: str) -> Mapping[str, Any]:
        value = self._given.get(key, {})
        if not isinstance(value, Mapping):
            raise InputError(f"{self.where}: {key}: not a mapping; compare it with --show-policy")
        return value

    def number(self, key: str, least: float, most: float, example: str) -> float:
        value: Any = self._given.get(key)
        usable = isinstance(value, int | float) and not isinstance(value, bool)
        if not usable or not least <= value <= most:  # NaN is within nothing
            raise self.wrong(key, value, f"a number from {least:g} to {most:g}", example)
        return float(value)

    def whole(self, key: str, value: Any = None, least: int = 1) -> int:
        found: Any = self._given.get(key) if value is None else value
        usable = isinstance(found, int) and not isinstance(found, bool)
        if not usable or not least <= found <= 1_000_000:
            raise self.wrong(key, found, f"a whole number from {least} to 1000000", str(least))
        return int(found)

    def text(self, key: str) -> str:
        value = self._given.get(key)
        if not isinstance(value, str) or not value.strip() or len(value) > 100:
            raise self.wrong(key, value, "a text of 1 to 100 characters", "internal")
        return value.strip()

    def patterns(self, key: str) -> tuple[str, ...]:
        value = self._given.get(key, ["*"])
        if (
            not isinstance(value, list)
            or not value
            or not all(isinstance(one, str) and one for one in value)
        ):
            raise self.wrong(key, value, "a list of names or patterns", '["nvme*"]')
        return tuple(value)
