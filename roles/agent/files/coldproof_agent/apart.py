"""Runs a function in a forked child, so that the memory it takes is gone with it."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from typing import Any

from coldproof_agent import locks


def run(function: Callable[[], Any]) -> Any:
    """Returns what the function returns, by way of a child.

    Raises:
        whatever the function raises; OSError if the child died.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        status = 1
        try:
            locks.leave_to_parent()
            try:
                answer = (True, function())
            except Exception as error:
                answer = (False, error)
            with os.fdopen(writer, "wb") as pipe:
                pickle.dump(answer, pipe)
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        data = pipe.read()
    os.waitpid(child, 0)
    if not data:
        raise OSError(32, "a helper process died (out of memory?)")
    good, value = pickle.loads(data)
    if not good:
        raise value
    return value
