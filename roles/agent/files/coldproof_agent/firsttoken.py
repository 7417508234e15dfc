"""The first token: one short completion, asked of a server that is ready."""

from __future__ import annotations

import time
from typing import Any, Optional

from coldproof_agent import httpget
from coldproof_agent.ready import Check, models_of

LONGEST_S = 120.0
MODELS = "/v1/models"


def ask(check: Check, completion: dict[str, Any]) -> dict[str, Any]:
    """Asks for one token.

    Args:
        check: where the server is and which model it serves; without an id the first it lists.
        completion: the profile's ``path`` and ``body``.

    Returns:
        ``seconds`` that the answer took (None if there was none) and ``problem``.
    """
    name = check.model_id or _listed(check)
    body = {
        key: value.replace("{model_id}", name) if isinstance(value, str) else value
        for key, value in completion["body"].items()
    }
    begun = time.monotonic()
    deadline = min(check.timeout_s, LONGEST_S)
    answer = httpget.post(check.host, check.port, str(completion["path"]), body, deadline)
    took = round(time.monotonic() - begun, 3)
    problem = answer.problem
    if problem is None and answer.status != 200:
        said = answer.body[:200].decode("utf-8", "replace")
        problem = f"{completion['path']} answered {answer.status}: {said}"
    if problem is None and not _chosen(answer.json()):
        problem = f"{completion['path']} answered without a choice"
    return {"seconds": None if problem else took, "problem": problem}


def _listed(check: Check) -> str:
    answer = httpget.get(check.host, check.port, check.models_path or MODELS, check.answer_s)
    named = models_of(answer.json()) if answer.status == 200 else []
    return named[0] if named else ""


def _chosen(body: Any) -> Optional[Any]:
    try:
        return body["choices"][0]
    except (KeyError, TypeError, IndexError):
        return None
