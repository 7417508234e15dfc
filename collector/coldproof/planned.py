"""What a campaign's plan asks for, as far as reports need it: settings as campaign.json keeps them.

Campaign files come from anywhere, so whatever is not of the form is as if it were not there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Planned:
    """Tiers and variants of a plan.

    Attributes:
        tiers: whether each tier is warm only, by name.
        prewarms: whether each variant pre-warms, by name.
        twins: for each variant that pre-warms, the one that is the same but for that.
    """

    tiers: Mapping[str, bool]
    prewarms: Mapping[str, bool]
    twins: Mapping[str, str]

    def warm_only(self, tier: str, variant: str) -> bool:
        """Whether no cold start is asked for there."""
        return self.tiers.get(tier, False) or self.prewarms.get(variant, False)

    @property
    def no_cold(self) -> bool:
        """Whether no cold start is asked for at all."""
        return any(kinds and all(kinds.values()) for kinds in (self.tiers, self.prewarms))


NOTHING = Planned({}, {}, {})


def planned(settings: Mapping[str, Any]) -> Planned:
    """Return what the settings of a campaign ask for."""
    variants = list(_named(settings.get("variants")))
    plain = [one for one in variants if one.get("prewarm") is not True]
    twins: dict[str, str] = {}
    for one in variants:
        if one.get("prewarm") is True:
            same = [other for other in plain if _engine(other) == _engine(one)]
            twins |= {str(one["name"]): str(other["name"]) for other in same[:1]}
    return Planned(
        {str(one["name"]): one.get("warm_only") is True for one in _named(settings.get("tiers"))},
        {str(one["name"]): one.get("prewarm") is True for one in variants},
        twins,
    )


def _named(value: object) -> Iterator[Mapping[str, Any]]:
    for one in value if isinstance(value, list) else []:
        if isinstance(one, Mapping) and isinstance(one.get("name"), str):
            yield one


def _engine(variant: Mapping[str, Any]) -> tuple[object, object]:
    return variant.get("args") or [], variant.get("env") or {}
