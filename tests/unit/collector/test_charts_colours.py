"""The colours, computed: contrast by WCAG 2.2, and differences as colour-blind people see them."""

from __future__ import annotations

import itertools
import re

import pytest

from coldproof.charts.frame import style

Colour = tuple[float, float, float]
PHASES = [f"phase-{number}" for number in range(1, 9)]

# Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB.
SIGHTS = {
    "all cones": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}


def palettes() -> dict[str, dict[str, Colour]]:
    sheet = style()
    found = [
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))
        for block in re.findall(r":root \{(.*?)\}", sheet, re.DOTALL)
    ]
    light, dark = [one for one in found if one]
    assert light.keys() == dark.keys()
    return {
        name: {key: linear(value) for key, value in one.items()}
        for name, one in (("light", light), ("dark", dark))
    }


def linear(code: str) -> Colour:
    parts = [int(code[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts
    )
    return red, green, blue


def luminance(colour: Colour) -> float:
    return 0.2126 * colour[0] + 0.7152 * colour[1] + 0.0722 * colour[2]


def contrast(one: Colour, other: Colour) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def seen(colour: Colour, sight: str) -> Colour:
    red, green, blue = (
        min(1.0, max(0.0, sum(part * own for part, own in zip(row, colour, strict=True))))
        for row in SIGHTS[sight]
    )
    return red, green, blue


def lab_of(colour: Colour) -> Colour:
    r, g, b = colour
    x = (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505
    y = 0.2126 * r + 0.7152 * g + 0.0722 * b
    z = (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089
    fx, fy, fz = (one ** (1 / 3) if one > 0.008856 else 7.787 * one + 16 / 116 for one in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


def apart(one: Colour, other: Colour, sight: str) -> float:
    """CIE76 difference; about 2 is the least that is noticed, 10 is plain."""
    first, second = lab_of(seen(one, sight)), lab_of(seen(other, sight))
    return float(sum((a - b) ** 2 for a, b in zip(first, second, strict=True)) ** 0.5)


@pytest.fixture(params=["light", "dark"])
def colours(request: pytest.FixtureRequest) -> dict[str, Colour]:
    return palettes()[request.param]


@pytest.mark.parametrize("ground", ["surface", "raised"])
@pytest.mark.parametrize("name", ["text", "muted", "cold", "warm"])
def test_words_have_a_contrast_of_at_least_4_5(
    colours: dict[str, Colour], ground: str, name: str
) -> None:
    assert contrast(colours[name], colours[ground]) >= 4.5


@pytest.mark.parametrize("name", [*PHASES, "weights", "cold", "warm", "muted"])
def test_marks_have_a_contrast_of_at_least_3_and_their_keys_of_4_5(
    colours: dict[str, Colour], name: str
) -> None:
    assert contrast(colours[name], colours["surface"]) >= 3
    assert contrast(colours["on"], colours[name]) >= 4.5


@pytest.mark.parametrize("sight", SIGHTS)
def test_neighbours_differ_for_every_sight(colours: dict[str, Colour], sight: str) -> None:
    neighbours = [*itertools.pairwise([*PHASES, PHASES[0]]), ("cold", "warm")]
    neighbours += [("weights", name) for name in PHASES]
    differ = {pair: apart(colours[pair[0]], colours[pair[1]], sight) for pair in neighbours}
    close = {pair: value for pair, value in differ.items() if value < 12}
    assert not close
