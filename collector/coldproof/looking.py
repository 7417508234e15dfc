"""A look at a node by its shell alone: what it is given, and what its answer says.

No Python runs on the node for it. The playbook looks by the connection of Ansible, the live view by
a channel that stays open; both give the shell the same words and read the same answer.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

# The agent writes 2 KiB at most.
MOST_BYTES = 4096
# More than any plan and any kernel has.
MOST_STEPS, MOST_PID = 1_000_000, 1 << 32
STATUS = re.compile(r'\{.*"coldproof\.status/1".*\}', re.DOTALL)
BOOT = re.compile(r"^[0-9a-f]{8}-[0-9a-f-]{27}", re.MULTILINE)
TIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
HOME = re.compile(r"~[A-Za-z0-9_.-]*(/|$)")
# The agent's own /proc entry comes before the status: if it is gone, the status is the last one.
SCRIPT = """\
s={folder}
if test -d "$s/campaigns/"{campaign}; then echo held; fi
t=$(head -c {most} "$s/status.json"); p=${{t##*\\"pid\\": }}; p=${{p%%[!0-9]*}}
cat /proc/sys/kernel/random/boot_id "/proc/${{p:-none}}/stat"
head -c {most} "$s/status.json\""""
# What it is given is a file, written whole: only to an agent that asks for a turn.
GRANT = """
case $t in *'"needs": "turn"'*)
  printf %s {turn} >"$s/.turn.new" && mv "$s/.turn.new" "$s/turn.json";;
esac"""
STOP = """
case $t in *{campaign}*)
  printf %s {stop} >"$s/.stop.new" && mv "$s/.stop.new" "$s/stop.json" && printf '\\nasked\\n';;
esac"""
# Between two answers: JSON escapes it, so that no status holds it.
END = b"\x1e\n"
# What has not changed since the last answer, but for the heartbeat and the seconds, is told again
# at every so many looks only: each answer costs the controller a millisecond.
AGAIN = 3
# As SCRIPT; of the agent's entry only its state, and all at once, as one packet. `read` takes the
# blanks at the end away: what a shell does with text takes the square of its length.
LOOP = """\
s={folder} n={again} before=
while :; do
read -r t <<E
$(head -c {most} "$s/status.json")
E
p=${{t##*\\"pid\\": }}; p=${{p%%[!0-9]*}}
a=$(cat /proc/sys/kernel/random/boot_id "/proc/${{p:-none}}/stat")
case $a in *') '*) a=${{a%"${{a##*) ? }}"}};; esac
read -r t <<E
$(head -c {most} "$s/status.json")
E
r=${{t#*'"elapsed_s": '}}; r=${{r#*,}}; h=${{r#*'"heartbeat": '}}
now=$a${{t%%'"elapsed_s": '*}}${{r%%'"heartbeat": '*}}${{h#*,}}
n=$((n + 1))
if test "$now" != "$before" || test $n -ge {again}; then
  printf '%s\\n%s\\n\\036\\n' "$a" "$t" || exit
  n=0 before=$now
fi
sleep {every} || exit
done 2>/dev/null"""


def script(
    state_dir: str, campaign: str, turn: Mapping[str, Any] | None = None, *, stop: bool = False
) -> str:
    """Return what the node's shell is given. A leading ~ is for it to expand, the rest is not.

    `turn` is given to an agent that asks for one: ``tier`` and ``concurrency``. With `stop` an
    agent that is at work for the campaign is asked to stop before its next pair.
    """
    words = SCRIPT.format(
        folder=_folder(state_dir), campaign=shlex.quote(campaign), most=MOST_BYTES
    )
    if turn is not None:
        count = int(turn["concurrency"])
        given = {"campaign": campaign, "tier": str(turn["tier"]), "concurrency": count}
        words += GRANT.format(turn=shlex.quote(json.dumps(given)))
    if stop:
        asked = {"campaign": campaign}
        words += STOP.format(
            campaign=shlex.quote(f'"campaign": "{campaign}", "done": false'),
            stop=shlex.quote(json.dumps(asked)),
        )
    return words


def stream(state_dir: str, every_s: float) -> str:
    """Return what the node's shell is given to look every `every_s` seconds, at least 1.

    It ends with its channel: its own words are the first that cannot be written then.
    """
    every = max(1, round(every_s))
    return LOOP.format(folder=_folder(state_dir), most=MOST_BYTES, every=every, again=AGAIN)


def _folder(state_dir: str) -> str:
    home = HOME.match(state_dir)
    begin, rest = (home[0], state_dir[home.end() :]) if home else ("", state_dir)
    return begin + (shlex.quote(rest) if rest else "")


def read(text: str) -> dict[str, Any]:
    """Return what a node's answer says.

    Returns:
        ``boot_id`` (empty: this is no answer), ``held`` (whether it has the campaign's folder),
        ``asked`` (whether it was asked to stop just now), ``status`` (None: there is none that is
        usable), ``wrong`` (the field because of which) and ``alive`` (whether the agent that wrote
        the status lives, and on this boot).
    """
    boot = BOOT.search(text)
    found = STATUS.search(text)
    status, field = usable(found[0] if found else text[text.find("\n{") + 1 :])
    alive = False
    if boot and status is not None and status["boot_id"] == boot[0]:
        # Field 3 of /proc/PID/stat is the state; Z is one that ended and that nobody has reaped.
        entry = rf"^{status['pid']} \(.*\) [^ZX]"
        alive = re.search(entry, text, re.MULTILINE) is not None
    return {
        "boot_id": boot[0] if boot else "",
        "held": re.search(r"^held\r?$", text, re.MULTILINE) is not None,
        "asked": re.search(r"^asked\r?$", text, re.MULTILINE) is not None,
        "status": status,
        "wrong": field,
        "alive": alive,
    }


def usable(text: str) -> tuple[dict[str, Any] | None, str]:
    """Return a status, and else the field that is missing or not as its schema says."""
    if not text.startswith("{"):
        return None, ""
    try:
        status = json.loads(text)
    except (ValueError, RecursionError):
        return None, "schema"
    kinds = {"campaign": str, "phase": str, "boot_id": str, "done": bool}
    for name, kind in kinds.items():
        if not isinstance(status.get(name), kind):
            return None, name
    for name, most in (("step", MOST_STEPS), ("of", MOST_STEPS), ("pid", MOST_PID)):
        if type(status.get(name)) is not int or not 0 <= status[name] <= most:
            return None, name
    if status.get("needs") not in (None, "reboot", "turn"):
        return None, "needs"
    turn = status.get("turn") or "none"
    if not isinstance(turn, str) or not TIER.fullmatch(turn):
        return None, "turn"
    return (None, field) if (field := _wrong_in_error(status.get("error"))) else (status, "")


def _wrong_in_error(error: Any) -> str:
    """Return which field of a status' error is not as its schema says; none if it is usable."""
    if error is None:
        return ""
    if not isinstance(error, Mapping):
        return "error"
    for name in ("code", "message", "variable"):
        empty = name == "variable" and error.get(name) is None
        if not isinstance(error.get(name), str) and not empty:
            return f"error.{name}"
    return ""
