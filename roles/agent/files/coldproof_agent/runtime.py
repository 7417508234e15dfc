"""The container runtimes docker and podman, called in bounded time.

Both take the same words: docker(1) and podman(1), each with ``run``, ``ps``, ``rm``, ``image``.
"""

from __future__ import annotations

import json
import re
import shutil
from typing import Any, NamedTuple, Optional

from coldproof_agent import bounded
from coldproof_agent.errors import Refusal

NAMES = ("docker", "podman")
ASK_S = 60.0
REMOVE_S = 120.0
_ID = re.compile("[0-9a-f]{12,64}")
LABEL_RUN, LABEL_STATE = "coldproof.run", "coldproof.state"


class Image(NamedTuple):
    """An image that is here.

    Attributes:
        name: as it was asked for.
        id: its digest.
        layers: folders of its layers on this node, the top one first; none if they are not said.
        user: whom its processes are, by itself; empty: root.
    """

    name: str
    id: str
    layers: list[str]
    user: str = ""


class RuntimeFailed(Exception):  # noqa: N818 (what it says is what happened)
    """The runtime would not do it; the text says why."""


class Runtime:
    """A runtime by its name.

    Args:
        name: docker or podman.

    Raises:
        Refusal: code ``launcher_missing``.
    """

    def __init__(self, name: str) -> None:
        program = shutil.which(name)
        if program is None:
            raise Refusal(
                "launcher_missing",
                f"{name} is not installed here, or not on the PATH of this user",
                "coldproof_launcher",
            )
        self.name, self.program = name, program

    def image(self, name: str) -> Image:
        """Returns an image that is here. It is never pulled.

        Raises:
            Refusal: code ``image_missing``, or ``launcher_failed`` if the runtime cannot be asked.
        """
        try:
            found = _objects(self._ask("image", "inspect", name))[0]
            user = str((found.get("Config") or {}).get("User") or "")
            return Image(name, str(found["Id"]), _layers(found.get("GraphDriver") or {}), user)
        except RuntimeFailed as failure:
            if "no such image" in str(failure).lower() or "not known" in str(failure).lower():
                raise Refusal(
                    "image_missing",
                    f"{self.name} has no image {name!r} here, and coldproof never pulls one: bring "
                    "it to the node first",
                    "coldproof_container_image",
                ) from failure
            raise Refusal(
                "launcher_failed", f"{self.name} cannot be asked: {failure}", "coldproof_launcher"
            ) from failure
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise Refusal(
                "launcher_failed",
                f"{self.name} image inspect {name}: not as expected ({error!r})",
                "coldproof_launcher",
            ) from error

    def labelled(self, label: str, value: str) -> list[str]:
        """Returns the names of the containers with a label, running or not. Raises RuntimeFailed.

        The label is compared here: in a filter, signs of the value would have a meaning.
        """
        ids = self._ids("--filter", f"label={label}")
        found = _objects(self._ask("container", "inspect", *ids)) if ids else []
        return [
            str(one["Name"]).lstrip("/")
            for one in found
            if (one["Config"].get("Labels") or {}).get(label) == value
        ]

    def remove(self, name: str) -> None:
        """Ends a container with SIGKILL and removes it with its unnamed volumes; may be gone.

        Args:
            name: letters, digits and dashes.

        Raises:
            RuntimeFailed: it is there still, or that cannot be known.
        """
        at_once = ["-t", "0"] if self.name == "podman" else []
        failure: Optional[RuntimeFailed] = None
        for _ in range(3):  # a removal that was killed half way is finished by the next
            try:
                self._ask("rm", "-f", "-v", *at_once, name, timeout_s=REMOVE_S)
            except RuntimeFailed as error:
                failure = error
            # Not by what it says: "no such container" may be said of a part of one.
            if not self._ids("--filter", f"name=^{name}$"):
                return
        raise failure or RuntimeFailed(f"{name} is there still")

    def _ids(self, *words: str) -> list[str]:
        """Returns the ids of containers, running or not."""
        text = self._ask("ps", "-a", *words, "--format", "{{.ID}}")
        return [word for word in text.split() if _ID.fullmatch(word)]

    def _ask(self, *words: str, timeout_s: float = ASK_S) -> str:
        try:
            status, text = bounded.run([self.program, *words], timeout_s)
        except bounded.TookTooLongError:
            raise RuntimeFailed(f"no answer within {timeout_s:g} s to {words[0]}") from None
        except OSError as error:
            raise RuntimeFailed(str(error)) from error
        if status:
            raise RuntimeFailed(" ".join(text.split())[:500] or f"exit status {status}")
        return text


def _objects(text: str) -> list[dict[str, Any]]:
    """Returns the list that an inspection answered with; warnings may stand before it."""
    at = re.search(r"^\[", text, re.M)
    found = json.JSONDecoder().raw_decode(text, at.start() if at else 0)[0]
    return list(found)


def _layers(driver: dict[str, Any]) -> list[str]:
    """Returns the folders that an image's files lie in, as overlay drivers tell them."""
    data = driver.get("Data") or {}
    return [
        folder
        for name in ("UpperDir", "LowerDir")
        for folder in str(data.get(name) or "").split(":")
        if folder
    ]
