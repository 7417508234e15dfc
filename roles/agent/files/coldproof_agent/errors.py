"""Refusals: what the agent will not do, why, and which variable would change that."""

from __future__ import annotations

from typing import Any, Optional


class Refusal(Exception):  # noqa: N818 (the design's word)
    """A request the agent declines, in words an operator can act on.

    Args:
        code: stable identifier, such as ``weights_missing``.
        message: what is wrong, where, and what to do.
        variable: the ``coldproof_*`` variable to look at, if there is one.
    """

    def __init__(self, code: str, message: str, variable: Optional[str] = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.variable = variable

    def as_dict(self) -> dict[str, Any]:
        """Returns the form used in status.json and in answers of the commands."""
        return {"code": self.code, "message": self.message, "variable": self.variable}
