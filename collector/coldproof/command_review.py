"""`coldproof review`: a campaign and a policy in, capacity_review.md and .json out, a verdict."""

from __future__ import annotations

from pathlib import Path

from coldproof.answer import Answer
from coldproof.files import locked, write_atomic, write_document
from coldproof.fleet.analysis import look
from coldproof.gather import gather_campaign
from coldproof.policy import default_policy, load_policy
from coldproof.review.assess import FAILS, INSUFFICIENT, MEETS
from coldproof.review.document import document
from coldproof.review.render import markdown
from coldproof.review.result import review

MARKDOWN, JSON = "capacity_review.md", "capacity_review.json"
CODES = {MEETS: 0, FAILS: 1, INSUFFICIENT: 3}


def run(campaign: Path, policy_file: Path | None, out: Path | None) -> Answer:
    """Write the review into `out`, or into the campaign's folder, and return the answer.

    Its code is 0: every required class is met; 1: one is not; 3: none is missed, but evidence is
    missing. Raises InputError on a policy that is none, or a folder that is no campaign's.
    """
    policy = load_policy(policy_file) if policy_file else default_policy()
    folder = campaign.resolve()
    found = review(look(gather_campaign(folder)), policy)
    code = CODES[found.verdict]
    target = out or folder
    target.mkdir(parents=True, exist_ok=True)
    with locked(target / ".report.lock"):
        write_atomic(target / MARKDOWN, markdown(found))
        written = document(found, code)
        write_document(target / JSON, written)
    why = f" ({'; '.join(found.reasons)})" if found.reasons else ""
    files = {"markdown": str(target / MARKDOWN), "json": str(target / JSON)}
    text = f"{found.verdict}: policy {policy.name}{why}\n\nReview: {target / MARKDOWN}"
    return Answer(code, {**written, "files": files}, text)
