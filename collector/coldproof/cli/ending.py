"""How a command ends: its answer printed whole, every error one line and one exit code."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable

from coldproof.answer import Answer
from coldproof.errors import InputError

UNUSABLE, SOFTWARE, INTERRUPTED, NOBODY_READS = 2, 70, 130, 141
TRACEBACK = "COLDPROOF_TRACEBACK"


class UsageError(InputError):
    """Arguments that cannot be used. `usage` is what argparse says above the message."""

    def __init__(self, message: str, usage: str) -> None:
        super().__init__(message)
        self.usage = usage


def ended(job: Callable[[], Answer | int], as_json: bool) -> int:
    """Run `job`, print its answer, and return the exit code, whatever happens in it.

    A job that returns a number has printed its answer itself.
    """
    try:
        code = _done(job, as_json)
        # What does not fit onto a full disk is found out here and not after the exit code.
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        _forget_stdout()
        return NOBODY_READS
    except OSError as error:
        _forget_stdout()
        print(f"coldproof: stdout: {error.strerror or error}", file=sys.stderr)
        return UNUSABLE
    except KeyboardInterrupt:  # while it waits for a slow reader
        _forget_stdout()
        print("coldproof: interrupted", file=sys.stderr)
        return INTERRUPTED


def _done(job: Callable[[], Answer | int], as_json: bool) -> int:
    try:
        answer = job()
    except UsageError as error:
        print(error.usage, end="", file=sys.stderr)
        return _failed(str(error), UNUSABLE, as_json)
    except InputError as error:
        return _failed(str(error), UNUSABLE, as_json)
    except BrokenPipeError:
        raise
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _failed(f"{where}{error.strerror or error}", UNUSABLE, as_json)
    except KeyboardInterrupt:
        return _failed("interrupted", INTERRUPTED, as_json)
    except Exception as error:
        if os.environ.get(TRACEBACK):
            traceback.print_exc()
        said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        hint = f"this is a fault of coldproof; {TRACEBACK}=1 shows where"
        return _failed(f"{said} ({hint})", SOFTWARE, as_json)
    return answer if isinstance(answer, int) else _print(answer, as_json)


def _forget_stdout() -> None:
    """Let what is left in stdout's buffer go nowhere: Python would complain of it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print(answer: Answer, as_json: bool) -> int:
    if as_json or answer.text is None:
        print(json.dumps(answer.document))
    elif answer.text:
        print(answer.text)
    return answer.code


def _failed(message: str, code: int, as_json: bool) -> int:
    line = "".join(character if character.isprintable() else " " for character in message)
    print(f"coldproof: {line}", file=sys.stderr)
    if as_json:
        print(json.dumps({"error": {"message": line, "code": code}}))
    return code
