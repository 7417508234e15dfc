"""Judges a run from its evidence: a pure function of design section 5's table, nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Optional

from coldproof_agent.loaders import ELSEWHERE, Loading
from coldproof_agent.residency import Residency

COLD_RESIDENT = 0.01
WARM_RESIDENT = 0.95
COLD_BYTES = 0.9
COLD_BYTES_ABOVE = 1.1
FOREIGN_SHARE = 0.1
FOREIGN_BYTES = 64 << 20
ALLOCATED = 0.9
WARM_BYTES = 0.05
WARM_BYTES_LIMIT = 1 << 30


class Evidence(NamedTuple):
    """What was measured of one run.

    Attributes:
        mode: cold or warm.
        ready: whether the server became ready.
        method: evict, drop_caches or reboot.
        weights, engine: residency before the start; engine None if its files are not known.
        weights_bytes: device bytes of all weights.
        weights_logical: their sizes; more than the device bytes where they are sparse.
        expected_bytes: device bytes of both sets that were not resident before the start.
        device_bytes: the part of them that the named devices have to deliver.
        process_bytes: bytes the server's tree read from storage until ready, None if unknown.
        devices: bytes read meanwhile by the devices that are the top, and by the leaves; None if
            no device can be named.
        engine_held: whether block devices can be named below the engine files.
        network_bytes: bytes fetched from a file server, None if there is none or it is not counted.
        network: the weights lie on a network filesystem.
        guest: a device is a virtual disk.
        unaccounted: why process bytes mean nothing on this filesystem, else None.
        holders: who maps resident pages: "pid 42 (cat)".
        damon: the kernel takes idle pages out of the page cache by itself.
        loading: the loader, where it does not read through the page cache as others do.
        ranks: processes of the server that each read the weights.
        dropped: resident share of the weights that drop_caches left; None if it was not looked at.
        same_boot: whether the boot id is still that of before a reboot (method reboot).
        unread: share of the weights that was in no page cache at ready; None if not looked at.
    """

    mode: str
    ready: bool
    method: str
    weights: Residency
    engine: Optional[Residency]
    weights_bytes: int
    weights_logical: int
    expected_bytes: int
    device_bytes: int
    process_bytes: Optional[int]
    devices: Optional[tuple[int, int]]
    engine_held: bool
    network_bytes: Optional[int]
    network: bool
    guest: bool
    unaccounted: Optional[str]
    holders: Sequence[str]
    same_boot: Optional[bool] = None
    dropped: Optional[float] = None
    damon: bool = False
    loading: Optional[Loading] = None
    ranks: int = 1
    unread: Optional[float] = None

    @property
    def most_bytes(self) -> int:
        """What a start may read: without a page cache between, each rank reads for itself."""
        again = self.weights_bytes * (self.ranks - 1) if self.loading is not None else 0
        return self.expected_bytes + again


class Verdict(NamedTuple):
    """State, why it is not proven, the scope measured cold, and remarks."""

    state: str
    reasons: list[str]
    scope: Optional[str]
    flags: list[str]


def _percent(share: Optional[float]) -> str:
    return "?" if share is None else f"{100 * share:.1f} %"


def _mib(count: Optional[int]) -> str:
    return "?" if count is None else f"{count / (1 << 20):.1f} MiB"


def judge(seen: Evidence) -> Verdict:
    """Returns the verdict on a cold or warm run."""
    found = _cold(seen) if seen.mode == "cold" else _warm(seen)
    if seen.loading is not None:
        found.flags.append(f"loader_{seen.loading.name}_{seen.loading.kind}")
    return found


def _cold(seen: Evidence) -> Verdict:
    refuted: list[str] = []
    unproven: list[str] = []
    flags: list[str] = []
    if seen.method == "reboot" and seen.same_boot is not False:
        refuted.append("the boot id is the one of before: no reboot happened")
    if not seen.weights.known:
        unproven.append(f"weights: {seen.weights.reason}")
    elif not seen.weights.agreed:
        unproven.append(f"the witnesses disagree on the weights: {_said(seen.weights)}")
    elif (seen.weights.high or 0) > COLD_RESIDENT:
        refuted.append(
            f"weights {_percent(seen.weights.high)} resident before the start"
            + (f": mapped by {', '.join(seen.holders)}" if seen.holders else "")
        )
    if seen.weights_bytes < ALLOCATED * seen.weights_logical:
        unproven.append(
            f"the weights are sparse or compressed: {_mib(seen.weights_logical)} occupy "
            f"{_mib(seen.weights_bytes)} of the device"
        )
    engine_cold = False
    if seen.engine is None or not seen.engine.known:
        flags.append("engine_files_outside_scope")
    elif not seen.engine.agreed:
        flags.append("engine_files_witnesses_disagree")
    elif not seen.engine_held:
        flags.append("engine_files_on_no_named_device")
    elif (seen.engine.high or 0) > COLD_RESIDENT:
        flags.append(f"engine_files_{_percent(seen.engine.high).replace(' ', '_')}_resident")
    else:
        engine_cold = True
    if seen.method == "drop_caches" and not _has_dropped(seen):
        flags.append(f"drop_caches_left_{_percent(seen.dropped).replace(' ', '_')}_of_the_weights")
    _judge_cold_bytes(seen, refuted, unproven, flags)
    weights_cold = seen.weights.agreed and (seen.weights.high or 0) <= COLD_RESIDENT
    scope = _scope(seen, weights_cold, engine_cold)
    state = "refuted" if refuted else "unproven" if unproven else "proven_cold"
    return Verdict(state, refuted + unproven, scope, flags)


def _judge_cold_bytes(
    seen: Evidence, refuted: list[str], unproven: list[str], flags: list[str]
) -> None:
    if not seen.ready:
        unproven.append("the server never became ready: nothing to hold the bytes against")
        return
    if seen.unaccounted:
        unproven.append(seen.unaccounted)
        return
    if seen.loading is not None and seen.loading.kind == ELSEWHERE:
        unproven.append(f"{seen.loading.why}: it is neither cold nor warm")
        return
    read = seen.process_bytes
    if read is None:
        unproven.append("the bytes read by the server could not be counted")
        return
    if seen.network:
        _judge_cold_network(seen, read, refuted, unproven)
    elif read < COLD_BYTES * seen.expected_bytes:
        if seen.loading is not None and not seen.loading.counted:
            # It reads by a way, or from a place, that no counter of ours sees.
            unproven.append(f"{seen.loading.why}: {_mib(read)} say nothing of the weights")
            return
        rest = _rest(seen, seen.expected_bytes - read, "the rest was in a cache")
        of = f"{_mib(read)} of {_mib(seen.expected_bytes)}"
        refuted.append(f"the server read {of} expected bytes: {rest}")
    if read > COLD_BYTES_ABOVE * seen.most_bytes:
        flags.append("bytes_above_expected")
    if not seen.network:
        _judge_cold_devices(seen, read, refuted, unproven)


def _rest(seen: Evidence, missing: int, cached: str) -> str:
    """Says what became of bytes that were not read: in no cache at ready, nobody delivered them."""
    if seen.loading is not None or (seen.unread or 0) * seen.weights_bytes < COLD_BYTES * missing:
        return cached
    return f"{_percent(seen.unread)} of the weights are unread at ready, and in no page cache"


def _judge_cold_network(seen: Evidence, read: int, refuted: list[str], unproven: list[str]) -> None:
    """Holds what the server read against what the mount fetched, its own part and others'."""
    if seen.network_bytes is None:
        unproven.append("this network filesystem does not say what it fetched")
        return
    expected = seen.expected_bytes - seen.device_bytes
    if seen.network_bytes < COLD_BYTES * expected:
        refuted.append(
            f"the mount fetched {_mib(seen.network_bytes)} of {_mib(expected)} expected bytes: "
            "a cache of this node delivered the rest"
        )
    elif read < COLD_BYTES * seen.expected_bytes:
        # Fetched, but not for the server: a bystander filled the cache in front of it, or this
        # kernel does not account what it fetches to the process that reads.
        unproven.append(
            f"the mount fetched {_mib(seen.network_bytes)}, of which {_mib(read)} are accounted "
            "to the server: others may have brought the weights into the cache for it"
        )
    others = seen.network_bytes - max(expected, read - seen.device_bytes)
    if others > max(FOREIGN_SHARE * expected, FOREIGN_BYTES):
        unproven.append(
            f"others fetched {_mib(others)} from the mount meanwhile: what they brought into the "
            "cache cannot be told from what the server read"
        )


def _judge_cold_devices(seen: Evidence, read: int, refuted: list[str], unproven: list[str]) -> None:
    if seen.devices is None:
        unproven.append("no block device can be named below the weights to hold the bytes against")
        return
    foreign = max(seen.devices) - read
    allowed = FOREIGN_SHARE * seen.expected_bytes
    if seen.devices[0] == seen.devices[1]:
        allowed = max(allowed, FOREIGN_BYTES)
    if foreign > allowed:
        # A bystander may have read the weights for the server, or hidden that a disk below a
        # loop device or an array read nothing; and the server had to share the disk.
        unproven.append(
            f"others read {_mib(foreign)} from the device meanwhile: what they brought into the "
            "cache cannot be told from what the server read"
        )
    for name, count in zip(("top", "leaf"), seen.devices):
        if count < COLD_BYTES * seen.device_bytes:
            rest = _rest(seen, seen.device_bytes - count, "a cache above it delivered the rest")
            of = f"{_mib(count)} of {_mib(seen.device_bytes)}"
            refuted.append(f"the {name} block device read {of} expected bytes: {rest}")


def _has_dropped(seen: Evidence) -> bool:
    """Says whether drop_caches was seen to have an effect: what it left went file by file."""
    return (
        seen.method == "drop_caches" and seen.dropped is not None and seen.dropped <= COLD_RESIDENT
    )


def _scope(seen: Evidence, weights_cold: bool, engine_cold: bool) -> Optional[str]:
    if not weights_cold:
        return None
    scope = "weights+engine" if engine_cold else "weights"
    if engine_cold and (seen.method == "reboot" or _has_dropped(seen)):
        scope = "host"
    return scope + ("+guest" if seen.guest else "") + ("+client" if seen.network else "")


def _said(look: Residency) -> str:
    return ", ".join(f"{name} {_percent(share)}" for name, share in sorted(look.witnesses.items()))


def _warm(seen: Evidence) -> Verdict:
    refuted: list[str] = []
    unproven: list[str] = []
    flags: list[str] = []
    for name, look in (("weights", seen.weights), ("engine files", seen.engine)):
        if look is None or not look.known:
            flags.append(f"{name.replace(' ', '_')}_by_bytes_alone")
        elif not look.agreed:
            unproven.append(f"the witnesses disagree on the {name}: {_said(look)}")
        elif (look.low or 0) < WARM_RESIDENT and not (look is seen.weights and seen.loading):
            refuted.append(f"only {_percent(look.low)} of the {name} resident before the start")
    allowed = min(WARM_BYTES * seen.weights_bytes, WARM_BYTES_LIMIT)
    counted = [n for n in (seen.process_bytes, seen.network_bytes) if n is not None]
    if not seen.ready:
        unproven.append("the server never became ready: nothing to hold the bytes against")
    elif seen.unaccounted:
        unproven.append(seen.unaccounted)
    elif not counted:
        unproven.append("the bytes read by the server could not be counted")
    elif seen.loading is not None:
        unproven += _by_design(seen, seen.loading, max(counted), allowed)
    elif max(counted) > allowed:
        refuted.append(f"the server read {_mib(max(counted))}: more than {_mib(int(allowed))}")
    if refuted and seen.loading is None and (seen.unread or 0) > 1 - WARM_RESIDENT:
        refuted.append(f"{_percent(seen.unread)} of the weights were in no page cache at ready")
    elif refuted and seen.damon:
        refuted.append("DAMON runs on this kernel and may have taken idle pages out of the cache")
    state = "refuted" if refuted else "unproven" if unproven else "proven_warm"
    return Verdict(state, refuted + unproven, None, flags)


def _by_design(seen: Evidence, loading: Loading, read: int, allowed: float) -> list[str]:
    """Says what a start cannot be that does not find its weights in the page cache.

    It is not refuted: nothing went wrong. Nor is it warm: it must not be compared as if it were.
    """
    if loading.kind == ELSEWHERE:
        return [f"{loading.why}: it is neither cold nor warm"]
    if read > allowed:
        again = f"it read {_mib(read)} again, by design, whatever was in the page cache"
        return [f"{loading.why}: {again}. There is no warm start of such a loader"]
    if (seen.weights.low or 0) < WARM_RESIDENT and seen.weights.known:
        return [f"{loading.why}: {_percent(seen.weights.low)} of the weights were resident"]
    return []
