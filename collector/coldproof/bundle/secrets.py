"""Secrets in text of any kind, by the name before them or by their own form.

Records and logs should hold none: the agent hides what it knows. This looks once more, with no
knowledge of the values, and would rather hide too much.
"""

from __future__ import annotations

import re

from coldproof.bundle.rules import UUID
from coldproof.names import CAMPAIGN
from coldproof.variables.secrets import SIZE, SWITCH, telling

HIDDEN = "***"
PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
)
IN_ADDRESS = re.compile(r"(?<=://)[^/\s@'\"]+@")
SCHEME = re.compile(r"(?i)\b(bearer|basic)(\s+)[\w.~+/=-]{6,}")
VALUE = re.compile(
    r"""(?P<quote>\\+["'])(?:.{0,4000}?(?P=quote)|\S*)|"(?:[^"\\\n]|\\.)*"?|'[^'\n]*'?"""
    r"""|[^\s"',;&(){}\[\]]+"""
)
# A name and what is between it and its value: the value may begin with the next name.
ASSIGNED = re.compile(r"""([\w.-]{1,80})(\\*["']?\s*[=:][\s\[{(]*)""")
OPTION = re.compile(r"""(?<![\w-])(--?[\w-]{1,80})(\s+)""")
# Of a list, a mapping or a tuple all values are hidden.
REST = {"[": re.compile(r"[^\]]{0,4000}"), "{": re.compile(r"[^}]{0,4000}"),
        "(": re.compile(r"[^)]{0,4000}")}  # fmt: skip
BRACKET = re.compile(r"[\[{(](?=[\s\[{(]*$)")
QUERY = re.compile(r"(?i)([?&](?:sig|signature|key|code|x-amz-[a-z-]+|x-goog-[a-z-]+)=)[^\s&'\"]+")
FORMS = re.compile(
    r"hf_[A-Za-z0-9]{8,}|sk-[A-Za-z0-9_-]{8,}|gh[pousr]_[A-Za-z0-9]{16,}"
    r"|github_pat_\w{16,}|glpat-[\w-]{12,}|xox[abprs]-[\w-]{8,}|nvapi-[\w-]{8,}|npm_[A-Za-z0-9]{16,}"
    r"|dckr_pat_[\w-]{8,}|pypi-[\w-]{16,}|AIza[\w-]{20,}|(?:AKIA|ASIA)[0-9A-Z]{12,}"
    r"|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"
)
DENSE = re.compile(r"(?<![\w/+.-])[A-Za-z0-9_+=-][A-Za-z0-9_+/=-]{23,}")
SHORT_PART = 3.5  # mean characters between changes of kind: of words more, of chance 1.6


def hide(text: str) -> tuple[str, int]:
    """Return `text` without what may be a secret, and how many were hidden."""
    count = 0
    for pattern, shown in (
        (PRIVATE_KEY, HIDDEN),
        (IN_ADDRESS, f"{HIDDEN}@"),
        (SCHEME, rf"\1\2{HIDDEN}"),
        (QUERY, rf"\1{HIDDEN}"),
        (FORMS, HIDDEN),
    ):
        text, hidden = pattern.subn(shown, text)
        count += hidden

    def dense(found: re.Match[str]) -> str:
        nonlocal count
        if not _random(found[0]):
            return found[0]
        count += 1
        return HIDDEN

    for pattern in (ASSIGNED, OPTION):
        text, hidden = _hide_named(pattern, text)
        count += hidden
    return DENSE.sub(dense, text), count


def _hide_named(pattern: re.Pattern[str], text: str) -> tuple[str, int]:
    """Hide what follows a secret's name; after any other name the search goes on at once."""
    shown, at, count = [], 0, 0
    while name := pattern.search(text, at):
        value = VALUE.match(text, name.end()) if telling(name[1]) else None
        if value is None or not secret_name(name[1], value[0].strip("\\\"'.")):
            shown.append(text[at : name.end()])
            at = name.end()
            continue
        bracket = BRACKET.search(name[2])
        rest = REST[bracket[0]].match(text, value.end()) if bracket else None
        shown += [text[at : name.end()], HIDDEN]
        at, count = (rest or value).end(), count + 1
    return "".join([*shown, text[at:]]), count


def secret_name(name: str, value: str) -> bool:
    """Whether `value` under this name has to be hidden; switches and sizes have not."""
    if value in (HIDDEN, "null") or not telling(name) or SWITCH.fullmatch(value):
        return False
    return not ("TOKENS" in name.upper() and SIZE.fullmatch(value))


def _random(word: str) -> bool:
    """Whether a long word looks drawn by lot: all kinds of characters, and not made of words."""
    kinds = (str.islower, str.isupper, str.isdigit)
    if CAMPAIGN.search(word) or UUID.search(word):  # names, not secrets
        return False
    if not all(any(kind(character) for character in word) for kind in kinds):
        return False
    parts = re.findall(r"[A-Z]?[a-z]+|[A-Z]+|[0-9]+", word)
    return len(word) / len(parts) < SHORT_PART
