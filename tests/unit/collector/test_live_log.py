"""The log of the live view: without secrets, and no playbook ends because of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from coldproof.live import log


def test_the_log_waits_for_its_folder_and_holds_no_secret(tmp_path: Path) -> None:
    words = ["db_password=hunter22", '{"pin_password": 31415926}']
    secrets = log.secrets_of({"HF_TOKEN": 'hf_1"2\\6é', "HOME": "/home"}, words)
    kept = log.Log(secrets)
    for value in ('hf_1"2\\6é', json.dumps('hf_1"2\\6é'), 31415926):
        kept.add(f"begins with {value}")
    kept.open(tmp_path / "gone")
    kept.open(tmp_path)
    kept.add("and hunter22 in /home")
    kept.close()
    text = (tmp_path / log.FILE).read_text("utf-8")
    assert text == (
        'begins with [redacted]\nbegins with "[redacted]"\nbegins with [redacted]\n'
        "and [redacted] in /home\n"
    )
    assert (tmp_path / log.FILE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "word",
    [
        '{"coldproof_engine_secrets": {"ANY": "hunter22"}, "x": 1}',
        "a=1 HF_TOKEN=hunter22",
        "ansible_become_pass=hunter22",
        "[{db: {passphrase: hunter22}}]",
        'x="a b" db_password=hunter22',
    ],
)
def test_secrets_that_are_given_by_e_are_known_in_every_form(word: str) -> None:
    assert "hunter22" in log.secrets_of({}, ["-e", word])


def test_a_log_that_cannot_be_written_says_so_and_goes_on(tmp_path: Path) -> None:
    (tmp_path / log.FILE).mkdir()
    kept = log.Log([])
    kept.add("before")
    kept.open(tmp_path)
    kept.add("after")
    kept.close()
    assert str(tmp_path / log.FILE) in kept.failed
    full = log.Log([])
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / log.FILE).symlink_to("/dev/full")
    full.open(tmp_path / "full")
    full.add("lost")
    full.close()
    assert "No space left" in full.failed
