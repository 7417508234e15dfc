"""Puts the Ansible collection into the wheel, where Ansible looks for it: beside the package.

Not by force-include, which an editable install obeys too: it would copy the collection into the
environment, and Ansible would run that copy however the checkout changes.
"""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PLACE = "ansible_collections/coldproof/fleet"


class CollectionHook(BuildHookInterface):  # type: ignore[misc]
    """Adds what pyproject.toml lists of the collection to a wheel that is no editable one."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before the wheel is built."""
        if version == "standard":
            names = self.config["collection"]
            build_data["force_include"].update({name: f"{PLACE}/{name}" for name in names})
