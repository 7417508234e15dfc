"""How it was measured, said so that the numbers can be read without the manual."""

from __future__ import annotations

from collections.abc import Sequence

from coldproof.gather import Gathered
from coldproof.groups import PAIRS_NEEDED, Entry
from coldproof.runs import Run
from coldproof.text import cell, fence, listing, redact

UNKNOWN = "not described by this version of coldproof"
METHODS = {
    "evict": "sync and whole-file posix_fadvise(DONTNEED) on weights and engine files, until "
    "both witnesses say so; nobody else's pages are touched",
    "drop_caches": "sync and `3 > /proc/sys/vm/drop_caches`: the page cache of the whole host",
    "reboot": "a reboot; driver and device caches start empty too",
}
BASES = {
    "weights": "the weights were measured out of the page cache, the engine's own files were not",
    "weights+engine": "the weights and the engine's own files were measured out of the page cache; "
    "other files on the host (Python itself, drivers) may still have been in it",
    "host": "weights and engine files were measured out of the page cache after it was dropped "
    "for the whole host",
}
SUFFIXES = {
    "guest": "`guest`: the disk is virtual, so its host's cache is unknown and may have helped",
    "client": "`client`: the filesystem is remote, so the file server's cache is unknown",
}
CLOCK = (
    "The clock starts when the server process is started (interpreter start and imports are "
    "inside) and stops when the engine's readiness check passes."
)
PROVEN_COLD = (
    "Proven cold: of each set of files in scope at most 1 % was resident before the start (after "
    "a reboot: another boot_id), and at least 0.9 of the bytes that were not resident were read "
    "from the device until ready."
)
PROVEN_WARM = (
    "Proven warm: at least 95 % of both sets was resident before the start, and at most 5 % of "
    "the weights and at most 1 GiB was read from the device."
)
UNPROVEN = (
    "Unproven: the evidence is not to be had here. Refuted: there is evidence against the state. "
    "Neither is ever in a median or a verdict; unproven starts have rows of their own."
)
PAIRS = (
    "A pair is a cold and a warm start, both proven, with the same compile-cache state that "
    "neither changed (or fresh ones each). Cache effect = cold - warm; factor = cold / warm; "
    "storage's share = difference of the weights phase / cold load_s. Given are medians over "
    "pairs, with range."
)
LIMITS = (
    f"Under {PAIRS_NEEDED} pairs there is no verdict. Starts of different campaign, model, "
    "max_model_len, engine, scope, method, concurrency, weights or compile state are never "
    "averaged."
)
CENSORED = (
    "A failed start would have taken longer than it ran; one is enough to meet no budget. A start "
    "that was cut short from outside or never made is no failure: it is listed, and counts for "
    "nothing."
)
FRESH = (
    "Fresh compile caches: each start began with empty ones in a folder of its own, so each is the "
    "first start on a new node, cold and warm alike; what it compiled is in its load_s, and no "
    "other start found it."
)
RULES = (CLOCK, PROVEN_COLD, PROVEN_WARM, UNPROVEN, PAIRS, LIMITS, CENSORED)


def method(gathered: Gathered, found: Sequence[Entry]) -> list[str]:
    """Return the section: method, scope in words, rules of proof, resolution."""
    groups = [group for entry in found for group in entry.groups]
    methods = sorted({group.method for group in groups if group.method})
    scopes = sorted({group.scope for group in groups if group.scope})
    lines = [
        f"- Cold method `{_code(name)}`: {METHODS.get(name, 'not described')}." for name in methods
    ]
    lines += [f"- {scope_in_words(scope)}" for scope in scopes]
    if not scopes:
        lines.append("- No start was proven cold, so the word cold covers nothing here.")
    lines += [f"- {rule}" for rule in RULES]
    lines += [f"- {FRESH}"] if any(run.fresh_caches for run in gathered.runs) else []
    return [*lines, f"- {_resolution(gathered.runs)}", f"- {_concurrency(gathered.runs)}"]


def scope_in_words(scope: str) -> str:
    """Say what the word cold covers in a scope such as `weights+engine+guest`."""
    parts = scope.split("+")
    suffixes = [part for part in parts if part in SUFFIXES]
    base = "+".join(part for part in parts if part not in SUFFIXES)
    meaning = BASES.get(base, UNKNOWN)
    extra = "".join(f"; {SUFFIXES[part]}" for part in suffixes)
    return f"Cold of scope `{_code(scope)}` means: {meaning}{extra}."


def command(gathered: Gathered) -> list[str]:
    """Return the command that repeats the campaign, as a block that it cannot end."""
    if not gathered.command:
        return ["The command was not recorded."]
    visible = " ".join("".join(c if c.isprintable() else " " for c in gathered.command).split())
    return fence(redact(visible))


def _code(text: str) -> str:
    return cell(text, 60)


def _resolution(runs: Sequence[Run]) -> str:
    known = [run.resolution_s for run in runs if run.resolution_s is not None]
    if not known:
        return "Resolution: not recorded."
    low, high = min(known), max(known)
    span = f"{low:g} s" if low == high else f"{low:g} to {high:g} s"
    return (
        f"Resolution: readiness was polled every {span} (n={len(known)}); differences below "
        "that mean nothing."
    )


def _concurrency(runs: Sequence[Run]) -> str:
    known = sorted({run.concurrency for run in runs if run.concurrency is not None})
    if not known:
        return "How many nodes ran at once was not recorded."
    return f"Nodes that ran at once: {listing([str(count) for count in known], 10)}."
