"""The collection that belongs to this package: the checkout, or what lies in the same wheel."""

from __future__ import annotations

from pathlib import Path

from coldproof.errors import InputError

PACKAGE = Path(__file__).resolve().parent
# A checkout, or a collection that carries the package; a wheel that carries the collection.
PLACES = (PACKAGE.parents[1], PACKAGE.parent / "ansible_collections/coldproof/fleet")


def root() -> Path:
    """Return the collection's folder, with playbooks/, inventory/ and ansible.cfg.

    Raises InputError if there is none: then this is no whole installation.
    """
    for place in PLACES:
        if (place / "playbooks/probe.yml").is_file():
            return place
    tried = " and ".join(str(place) for place in PLACES)
    raise InputError(f"{tried}: no playbooks/probe.yml; install coldproof's wheel again")
