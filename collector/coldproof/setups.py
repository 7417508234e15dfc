"""What was started: starts of different setups are never averaged and make no pair."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from coldproof.names import split_run_id
from coldproof.runs import Run

MANIFEST_PREFIX = 16  # hex digits of a manifest in the notes of a CSV


class Setup(NamedTuple):
    """The campaign and what it started; empty text where that was not recorded."""

    campaign: str
    model: str
    max_model_len: str
    engine: str
    engine_version: str

    def may_be(self, other: Setup) -> bool:
        """Whether they differ in nothing that both recorded."""
        return all(mine == its for mine, its in zip(self, other, strict=True) if mine and its)


def setup_of(run: Run) -> Setup:
    """Return the setup of a run."""
    identity = split_run_id(run.run_id)
    return Setup(
        campaign=identity[0] if identity else "",
        model=run.model.strip(),
        max_model_len=run.max_model_len.strip(),
        engine=run.engine,
        engine_version=run.engine_version or "",
    )


def completed(runs: Iterable[Run]) -> list[Run]:
    """Return the runs, with what a CSV's row leaves out where the other runs leave no doubt.

    The row holds the manifest's first digits and no version of the engine. They are completed
    if all that begins with these digits on that node is one manifest, and if the same campaign
    started one version of the same engine there; else they stay as they are, apart from the others.
    """
    known = list(runs)
    manifests: dict[tuple[str, str], set[str]] = {}
    versions: dict[tuple[str, str, str], set[str]] = {}
    for run in known:
        if run.manifest and len(run.manifest) > MANIFEST_PREFIX:
            key = (run.node, run.manifest[:MANIFEST_PREFIX])
            manifests.setdefault(key, set()).add(run.manifest)
        if run.engine_version:
            versions.setdefault(_installation(run), set()).add(run.engine_version)
    return [_complete(run, manifests, versions) for run in known]


def _complete(
    run: Run,
    manifests: dict[tuple[str, str], set[str]],
    versions: dict[tuple[str, str, str], set[str]],
) -> Run:
    manifest = _only(manifests.get((run.node, run.manifest))) if run.manifest else None
    version = None
    if run.engine and not run.engine_version and split_run_id(run.run_id):
        version = _only(versions.get(_installation(run)))
    if manifest is None and version is None:
        return run
    return replace(
        run,
        manifest=manifest or run.manifest,
        engine_version=version or run.engine_version,
    )


def _installation(run: Run) -> tuple[str, str, str]:
    return (run.node, setup_of(run).campaign, run.engine)


def _only(values: set[str] | None) -> str | None:
    return next(iter(values)) if values is not None and len(values) == 1 else None
