"""Text that OpenMetrics and the older Prometheus text format both read, from untrusted words.

node_exporter's textfile collector reads the older one, in which there is no type `info`, a
counter's TYPE line has another name, and timestamps are refused. So everything is a gauge and
nothing has a timestamp; the lines UNIT and EOF, which OpenMetrics has, are comments there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

from coldproof.text import words

UNITS = ("seconds", "bytes", "ratio")
LIMIT = 200
ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


class Family(NamedTuple):
    """A metric's name and what it means; neither needs escapes."""

    name: str
    meaning: str


class Exposition:
    """Samples of known families, in the order in which they were added."""

    def __init__(self, families: tuple[Family, ...]) -> None:
        self._samples: dict[str, dict[str, float]] = {one.name: {} for one in families}
        self._families = families

    def add(self, name: str, labels: Mapping[str, str], value: float) -> None:
        """Add one sample; of two with the same labels the first counts.

        A second one would make readers refuse the whole file: a node that manages to have two
        harms itself only.
        """
        pairs = ",".join(f'{key}="{label(text)}"' for key, text in labels.items())
        self._samples[name].setdefault(pairs, value)

    def text(self) -> str:
        """Return the file; families without a sample are left out."""
        lines = []
        for name, meaning in self._families:
            samples = self._samples[name]
            if not samples:
                continue
            lines += [f"# HELP {name} {meaning}", f"# TYPE {name} gauge"]
            unit = name.rpartition("_")[2]
            lines += [f"# UNIT {name} {unit}"] if unit in UNITS else []
            lines += [f"{name}{{{pairs}}} {_number(value)}" for pairs, value in samples.items()]
        return "\n".join([*lines, "# EOF"]) + "\n"

    @property
    def count(self) -> int:
        """How many samples there are."""
        return sum(len(samples) for samples in self._samples.values())


def label(text: str) -> str:
    """Return `text` as a label's value: one printable line, escaped.

    A text that had to be changed ends with a hash of what it was, so that two stay two.
    """
    line = words(text, LIMIT)
    if line != text:
        line += f"~{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
    return line.translate(ESCAPES)


def _number(value: float) -> str:
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    return repr(round(float(value), 6)).removesuffix(".0")
