"""Pairs: one cold and one warm start that may be held against each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from coldproof.runs import Run
from coldproof.setups import Setup, setup_of

UNKNOWN_COMPILE = (
    "the state of the compile caches is unknown: name the engine's compile-cache folders in "
    "coldproof_compile_cache_dirs"
)


@dataclass(frozen=True)
class Pair:
    """A cold and a warm run, both proven, that began with the same compile caches."""

    cold: Run
    warm: Run

    @property
    def effect(self) -> float:
        """Cache effect: seconds that the cold start took longer."""
        return (self.cold.load_s or 0.0) - (self.warm.load_s or 0.0)

    @property
    def factor(self) -> float | None:
        """Cold load_s by warm load_s; None if the warm one took no time."""
        return (self.cold.load_s or 0.0) / self.warm.load_s if self.warm.load_s else None

    @property
    def weights_effect(self) -> float | None:
        """Seconds that the weights phase took longer cold than warm; None if not measured."""
        cold, warm = self.cold.weights_s, self.warm.weights_s
        return None if cold is None or warm is None else cold - warm

    @property
    def storage_share(self) -> float | None:
        """The weights phase's difference by cold load_s, a fraction; None if not measured."""
        if self.weights_effect is None or not self.cold.load_s:
            return None
        return self.weights_effect / self.cold.load_s

    @property
    def most_gain(self) -> float | None:
        """The cache effect by cold load_s, a fraction: no storage, however fast, saves more."""
        return self.effect / self.cold.load_s if self.cold.load_s else None


@dataclass(frozen=True)
class Unpaired:
    """A pair that does not count, or a start that is in none though its number is; and why."""

    number: int
    reason: str
    campaign: str = ""


def pair_up(runs: Iterable[Run]) -> tuple[list[Pair], list[Unpaired]]:
    """Return the pairs among runs of one node, tier and variant, and those that do not count.

    Runs of one campaign and number belong together; which weights, model and engine they had
    must be equal. Of several proven runs with one number and mode the last counts and the others
    are listed.
    """
    numbered: dict[tuple[str, int], list[Run]] = {}
    for run in runs:
        if run.pair is not None and run.mode in ("cold", "warm"):
            numbered.setdefault((setup_of(run).campaign, run.pair), []).append(run)
    pairs: list[Pair] = []
    unpaired: list[Unpaired] = []
    for (campaign, number), members in sorted(numbered.items()):
        families = _families(members)
        reasons = [f"{len(families)} different setups have this number"] * (len(families) > 1)
        for family in families:
            found = _pair(family)
            if isinstance(found, Pair):
                pairs.append(found)
            else:
                reasons.append(found)
            reasons += _repeated(family)
        unpaired += [Unpaired(number, reason, campaign) for reason in reasons]
    return pairs, unpaired


def _families(members: Sequence[Run]) -> list[list[Run]]:
    """Split runs of one number: those of like weights and setup that hold both modes, the rest.

    The rest stays together, so that what it lacks or how it differs is said; beside whole ones
    only its proven runs do, since all others are listed as what they are.
    """
    alike: dict[tuple[Setup, str | None], list[Run]] = {}
    for run in members:
        alike.setdefault((setup_of(run), run.manifest), []).append(run)
    whole = [family for family in alike.values() if _last(family, "cold") and _last(family, "warm")]
    held = {id(run) for family in whole for run in family}
    rest = [run for run in members if id(run) not in held and (run.proven or not whole)]
    return [*whole, rest] if rest else whole


def _pair(members: Sequence[Run]) -> Pair | str:
    """Return the pair of the last proven runs, or why there is none."""
    cold, warm = _last(members, "cold"), _last(members, "warm")
    if cold is None or warm is None:
        return _lacking(members)
    return _mismatch(cold, warm) or Pair(cold, warm)


def _repeated(members: Sequence[Run]) -> list[str]:
    """List the proven runs whose number and mode a later one has too."""
    reasons = []
    for mode in ("cold", "warm"):
        proven = sorted(
            (run for run in members if run.mode == mode and run.proven), key=lambda run: run.order
        )
        reasons += [
            f"{len(proven)} proven {mode} starts have this number: run {_name(run)} is in no pair, "
            f"the last one, {_name(proven[-1])}, counts"
            for run in proven[:-1]
        ]
    return reasons


def _name(run: Run) -> str:
    return f"{run.seq:04d}" if run.seq is not None else run.run_id[:80]


def _last(members: Sequence[Run], mode: str) -> Run | None:
    proven = [run for run in members if run.mode == mode and run.proven]
    return max(proven, key=lambda run: run.order) if proven else None


def _lacking(members: Sequence[Run]) -> str:
    parts = []
    for mode in ("cold", "warm"):
        of_mode = [run for run in members if run.mode == mode]
        if any(run.proven for run in of_mode):
            continue
        last = max(of_mode, key=lambda run: run.order) if of_mode else None
        if last is None:
            parts.append(f"no {mode} start")
        else:
            parts.append(f"{mode} start {last.state if last.ready else last.outcome}")
    return ", ".join(parts)


def _mismatch(cold: Run, warm: Run) -> str | None:
    for name, when_cold, when_warm in zip(
        Setup._fields, setup_of(cold), setup_of(warm), strict=True
    ):
        if when_cold != when_warm:
            told = [(text or "not recorded")[:80] for text in (when_cold, when_warm)]
            return f"{name.replace('_', ' ')}: {told[0]} when cold, {told[1]} when warm"
    if cold.manifest != warm.manifest:
        return "the weights changed between the two starts"
    if cold.concurrency != warm.concurrency:
        return "different numbers of nodes ran at once"
    if cold.compile != warm.compile:
        return f"compile caches: {cold.compile} when cold, {warm.compile} when warm"
    if cold.compile == "unknown":
        return UNKNOWN_COMPILE
    if cold.fresh_caches != warm.fresh_caches:
        return "only one of the two starts had fresh compile caches"
    if cold.fresh_caches:  # each had empty ones of its own, so what it changed is nobody's
        return None
    for run in (cold, warm):
        if run.compile_changed:
            return f"the {run.mode} start changed the compile caches"
        if run.compile_changed is None and run.compile != "disabled":
            return f"not recorded whether the {run.mode} start changed the compile caches"
    return None
