"""What the numbers mean for whoever has to decide; derived from the numbers alone."""

from __future__ import annotations

from coldproof.fleet.analysis import Fleet
from coldproof.gather import Gathered
from coldproof.groups import PAIRS_NEEDED, Entry, Group
from coldproof.report.judge import (
    BUDGETS,
    INSUFFICIENT,
    REFERENCE,
    WARM_ONLY,
    circumstances,
    effect_sentence,
    meets,
    shows_effect,
)
from coldproof.report.limits import model
from coldproof.report.overview import DEMO, where
from coldproof.report.tables import table
from coldproof.stats import EFFECT_FLOOR_S, summarise
from coldproof.text import plural

LARGE_SHARE = 0.5
SMALL_SHARE = 0.2
NO_CONCLUSION = (
    f"A verdict needs {PAIRS_NEEDED} of one node, tier and variant. The numbers above stand as "
    "observations; nothing is concluded from them, and no budget is called met. Look at what "
    "made no verdict, remove the reason, and repeat the campaign."
)
NOTHING_COLD = "Every tier is warm only by plan, so nothing is said of cold starts."
ACCEPTABLE = "Is a cold start acceptable? The limits are coldproof's own:"
YES = (
    "`yes` means that the slowest proven cold start was within the limit and that none like it "
    "failed."
)
REFERENCE_NOTE = (
    f"The engine is `{REFERENCE}`, coldproof's built-in reference server, not an inference engine: "
    "it reads the weights and answers. Its times say how fast this storage feeds a loader, and "
    "nothing about vLLM or any other engine."
)


def interpretation(fleet: Fleet) -> list[str]:
    """Return the section: budgets, what of the difference is storage, an SRE's sentence."""
    gathered, found = fleet.gathered, fleet.entries
    lines = _engine(gathered)
    pairs = [(entry, group) for entry in found for group in entry.groups if not entry.warm_only]
    warm = [
        f"- {_demo(gathered)}{where(entry.place)}: {WARM_ONLY}; nothing is said of cold ones."
        for entry in found
        if entry.warm_only
    ]
    if gathered.planned.no_cold and not any(not entry.warm_only for entry in found):
        return [*lines, *warm] if warm else [*lines, f"{_demo(gathered)}{NOTHING_COLD}"]
    if not any(group.sufficient for _, group in pairs):
        most = max((len(group.pairs) for _, group in pairs), default=0)
        return [
            *lines,
            f"{_demo(gathered)}{INSUFFICIENT.capitalize()} (most proven pairs of a row: {most}). "
            + NO_CONCLUSION,
            *(["", *warm] if warm else []),
        ]
    budgets = ", ".join(f"{budget.use} at most {budget.seconds:.0f} s" for budget in BUDGETS)
    rows = [
        [
            _label(entry, group),
            *(
                meets(budget, entry, group, gathered.left_out.get(entry.place.node, ""))
                for budget in BUDGETS
            ),
        ]
        for entry, group in pairs
    ]
    rows += [
        [f"{where(entry.place)} (started otherwise)", *[_stray(entry)] * len(BUDGETS)]
        for entry in found
        if entry.groups and entry.strays
    ]
    lines += [
        f"{ACCEPTABLE} {budgets}. {YES}",
        "",
        table(("where", *(budget.use for budget in BUDGETS)), rows),
        "",
    ]
    for entry, group in pairs:
        lines.append(f"- {_demo(gathered)}{_label(entry, group)}: {sentence(fleet, entry, group)}")
    return [*lines, *warm]


def _stray(entry: Entry) -> str:
    return f"no: {plural(len(entry.strays), 'start')} failed, none was proven"


def sentence(fleet: Fleet, entry: Entry, group: Group) -> str:
    """Return how much slower, what of it is storage, and what an SRE would say."""
    effect, cold = group.effect, group.cold_s
    if not group.sufficient or effect is None or cold is None:
        return f"{INSUFFICIENT} ({plural(len(group.pairs), 'proven pair')} of {PAIRS_NEEDED})."
    explained = model(group, fleet.use(group))
    first = _first_start(entry, group, cold.median)
    return f"{effect_sentence(group)}{explained} {_advice(group)}{first}"


def _advice(group: Group) -> str:
    """Return the sentence an SRE would write.

    The bound is the whole cache effect: engine files lie on storage too, whatever their phases.
    What of it is storage is the weights' part alone; of the rest nobody knows.
    """
    warm, share, gain = group.warm_s, group.share, group.most_gain
    if not shows_effect(group):
        return _no_effect(group)
    floor = f"the warm start's {warm.seconds()} remain" if warm else "the rest remains"
    if gain is None:
        return f"In an SRE's words: warm caches help, what storage adds is unknown; {floor}."
    bound = f"at most {gain.percent()} of the cold start"
    if share is None:
        bound += "; what of it the weights are was not recorded"
    elif share.median <= 0:
        bound += "; of the weights' phase none of it was shown"
    else:
        bound += f"; the weights phase's part of it is {share.percent()} of the cold start"
        bound += ", other phases took longer when warm" if share.median > gain.median else ""
    if share is not None and min(share.median, gain.median) >= LARGE_SHARE:
        return (
            "In an SRE's words: most of this cold start is waiting for storage, so faster storage "
            f"or prewarming pays off; the gain is {bound}, and {floor}."
        )
    if gain.median >= SMALL_SHARE:
        return (
            "In an SRE's words: warm caches save a part of this cold start; faster storage or "
            f"prewarming wins {bound}. What is not in the weights phase need not be storage; "
            f"{floor}."
        )
    return (
        "In an SRE's words: this start is not slow because of storage; faster storage wins "
        f"{bound}; so cut the phases that are as long when warm, since {floor}."
    )


def _no_effect(group: Group) -> str:
    effect = group.effect
    if effect is not None and effect.high <= max(group.resolution_s, EFFECT_FLOOR_S):
        return "In an SRE's words: do not spend on storage or prewarming for this; look elsewhere."
    why = (
        "the pairs disagree on whether warm caches help"
        if effect is not None and effect.low < 0 < effect.high
        else "not every pair shows that warm caches help"
    )
    told = "so nothing is said of storage or prewarming; measure more pairs."
    return f"In an SRE's words: {why}, {told}"


def _first_start(entry: Entry, group: Group, cold_median: float) -> str:
    first = next(iter(entry.concerning(entry.primes, group)), None)
    if first is None or not first.ready or first.load_s is None or first.compile != "miss":
        return ""
    told = summarise([first.load_s])
    if told is None or first.load_s <= cold_median:
        return ""
    caches = "with empty compile caches" if first.cached_files == 0 else "missing compile caches"
    text = f" The first start ever, {caches}, took {told.seconds()}."
    return text + _naive(first.load_s, first.weights_s, group)


def _naive(first_s: float, weights_s: float | None, group: Group) -> str:
    """Return what comes of one start after the install and one more, and the disk blamed for it."""
    warm = group.warm_s
    warm_weights = summarise(run.weights_s for run in group.warm if run.weights_s is not None)
    if warm is None or warm_weights is None or weights_s is None or first_s <= warm.median:
        return ""
    return (
        f" A naive procedure (that start, then one more: {first_s / warm.median:.1f}x) would have "
        f"blamed the disk for {first_s - warm.median:.1f} s, of which "
        f"{max(0.0, weights_s - warm_weights.median):.1f} s are the weights (n=1)."
    )


def _engine(gathered: Gathered) -> list[str]:
    engines = {run.engine for run in gathered.runs if run.engine}
    engines |= {str(gathered.settings["engine"])} if gathered.settings.get("engine") else set()
    if REFERENCE not in engines:
        return []
    return [f"{_demo(gathered)}{REFERENCE_NOTE}", ""]


def _demo(gathered: Gathered) -> str:
    return f"{DEMO}: " if gathered.demo else ""


def _label(entry: Entry, group: Group) -> str:
    if len(entry.groups) == 1:
        return where(entry.place)
    return f"{where(entry.place)} ({circumstances(entry, group)})"
