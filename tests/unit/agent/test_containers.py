"""Servers in containers of a real podman: watched in their control group, ended on every path."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coldproof_agent import procfs
from tests.counts import LONG, seeded
from tests.unit.agent import plans
from tests.unit.agent.drivers import drive, podman
from tests.unit.agent.drivers.drive import FAMILY, HERE, Held
from tests.unit.agent.drivers.podman import IMAGE, NoPodmanError, Podman

KILLS = 20 if LONG else 4


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Podman:
    try:
        return podman.make(tmp_path_factory.mktemp("podman"))
    except NoPodmanError as error:
        pytest.skip(f"no container can be run here: {error}")


@pytest.fixture(autouse=True)
def none_left(runtime: Podman) -> Iterator[None]:
    """No container outlives its test."""
    yield
    assert runtime("ps", "-a", "--format", "{{.Names}}").split() == []


def job(runtime: Podman, folder: Path, behaviour: str, **more: Any) -> dict[str, Any]:
    """Returns a job whose server runs in a container."""
    plan = plans.make(
        folder,
        launcher="podman",
        container_image=IMAGE,
        container_gpus="none",
        engine="custom",
        local={"container_mounts": [f"{HERE}:{HERE}:ro"]},
    )
    given = drive.job(folder, behaviour, plan=plan, before=runtime.before, **more)
    given["argv"][0] = "python3"
    return {**given, "ledger": str(folder / "launched.json")}


def run(runtime: Podman, given: dict[str, Any]) -> dict[str, Any]:
    return drive.run(given, timeout_s=180, env=runtime.env)


def assert_nothing_left(answer: dict[str, Any], given: dict[str, Any]) -> None:
    assert answer["left"] == []
    assert answer["stopped"]["stuck"] == []
    assert answer["stopped"]["removed"] is True
    assert not Path(given["ledger"]).exists()
    assert drive.marked(given["marker"]) == []


@pytest.mark.parametrize(
    ("change", "local", "code", "variable"),
    [
        ({"container_image": "localhost/absent:1"}, {}, "image_missing", "container_image"),
        ({"container_image": ""}, {}, "image_missing", "container_image"),
        ({}, {"container_mounts": ["/a:/b:z"]}, "mount", "container_mounts"),
        ({"container_args": ["-v", "/a:/b"]}, {}, "container_args", "container_args"),
    ],
)
def test_what_cannot_run_is_refused_by_name(
    runtime: Podman,
    tmp_path: Path,
    change: dict[str, Any],
    local: dict[str, Any],
    code: str,
    variable: str,
) -> None:
    given = job(runtime, tmp_path, "ok", do="refusal")
    settings = {**given["plan"]["settings"], **change}
    given["plan"] = plans.make(tmp_path, **settings, local={**given["plan"]["local"], **local})
    answer = run(runtime, given)["refused"]
    assert (answer["code"], answer["variable"]) == (code, f"coldproof_{variable}")


def test_a_ready_server_is_watched_and_ended(runtime: Podman, tmp_path: Path) -> None:
    given = job(runtime, tmp_path, "deaf", grace_s=0.5)
    answer = run(runtime, given)
    assert answer["waited"]["outcome"] == "ready", answer
    assert sorted(answer["tree"]) == ["python3", "sleep", "sleep", "sleep"]
    assert answer["stopped"]["killed"] is True
    assert answer["stopped"]["left"] == FAMILY - 1
    assert answer["log"][-1].endswith(" listening")
    assert_nothing_left(answer, given)


def test_a_server_that_leaves_sigterm_to_the_default_is_not_waited_for(
    runtime: Podman, tmp_path: Path
) -> None:
    given = job(runtime, tmp_path, "ok", grace_s=60.0)
    answer = run(runtime, given)
    assert answer["waited"]["outcome"] == "ready", answer
    assert answer["stopped"]["seconds"] < 15
    assert_nothing_left(answer, given)


def test_sigterm_reaches_a_server_that_handles_it(runtime: Podman, tmp_path: Path) -> None:
    given = job(runtime, tmp_path, "ok", grace_s=20.0)
    words = "trap 'exit 3' TERM; " + " ".join(given["argv"]) + " & wait"
    answer = run(runtime, {**given, "argv": ["/bin/sh", "-c", words]})
    assert answer["waited"]["outcome"] == "ready", answer
    assert (answer["stopped"]["killed"], answer["exit_status"]) == (False, 3)
    assert_nothing_left(answer, given)


@pytest.mark.parametrize(
    ("behaviour", "outcome", "detail"),
    [
        ("crash", "crashed", "exit status 1"),
        ("forks_away", "crashed", "exit status 0"),
        ("after", "crashed", "exit status 7"),
        ("once", "crashed", "exit status 9"),
        ("wrong", "wrong_model", "somebody-elses-model"),
        ("hang", "timeout", "not ready within"),
        ("mute", "timeout", ""),
        ("drip", "timeout", ""),
        ("flood", "timeout", ""),
        ("headless", "crashed", "exit status 0"),
    ],
)
def test_a_hostile_server_is_a_row_and_ended(
    runtime: Podman, tmp_path: Path, behaviour: str, outcome: str, detail: str
) -> None:
    wait = 3.0 if outcome == "timeout" else 20.0
    given = job(runtime, tmp_path, behaviour, timeout_s=wait, grace_s=0.3, evidence_s=0.5)
    answer = run(runtime, given)
    assert answer["waited"]["outcome"] == outcome, answer
    assert detail in (answer["waited"]["detail"] or "")
    if behaviour == "flood":
        assert (tmp_path / "launched.log").stat().st_size < 5 << 20
    assert_nothing_left(answer, given)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"argv": ["/no/such/program"]}, "/no/such/program"),
        ({"argv": ["python3", "-c", "import os; print(os.environ['CANARY'])"]}, "s3cr3t"),
    ],
)
def test_the_log_is_what_the_server_and_the_runtime_say(
    runtime: Podman, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    given = job(runtime, tmp_path, "ok", env={"CANARY": "s3cr3t"}, secret=["CANARY"])
    answer = run(runtime, {**given, **change})
    assert answer["waited"]["outcome"] == "crashed"
    assert said in " ".join(answer["log"])
    assert_nothing_left(answer, given)


def test_a_secret_stands_in_no_command_line(runtime: Podman, tmp_path: Path) -> None:
    given = job(runtime, tmp_path, "ok", env={"CANARY": "s3cr3t"}, secret=["CANARY"])
    with Held({**given, "do": "hold"}, runtime.env) as held:
        lines = [Path(f"/proc/{pid}/cmdline") for pid in procfs.pids() if pid != os.getpid()]
        mine = [p for p in lines if p.exists() and given["marker"].encode() in p.read_bytes()]
        assert len(mine) >= 2, "the runtime and the server"
        # What was given to the stand-in agent as its job does not count.
        mine = [p for p in mine if int(p.parent.name) not in (held.agent, held.supervisor)]
        assert not [p for p in mine if b"s3cr3t" in p.read_bytes()]
        held.kill(held.agent)
        assert run(runtime, {**given, "do": "leftovers"})["ended"] is not None


def test_an_agent_killed_at_random_leaves_what_the_next_one_ends(
    runtime: Podman, tmp_path: Path
) -> None:
    chance = seeded("killed agents with containers")
    for number in range(KILLS):
        folder = tmp_path / str(number)
        folder.mkdir()
        given = job(runtime, folder, "family")
        child = drive.agent({**given, "do": "hold"}, **runtime.env)
        time.sleep(chance.uniform(0.0, 3.0))
        child.kill()
        child.communicate(timeout=30)
        if chance.random() < 0.5:  # its supervisor too, as the OOM killer may
            for one in drive.marked(given["marker"]):
                os.kill(one.pid, 9)
        answer = run(runtime, {**given, "do": "leftovers"})
        assert "refused" not in answer, answer
        assert drive.left_after(drive.marked(given["marker"]), 2.0) == []
        assert runtime("ps", "-a", "--format", "{{.Names}}").split() == []


def test_a_container_of_an_earlier_boot_is_removed(runtime: Podman, tmp_path: Path) -> None:
    """It does not run any more, but its record and files are there."""
    given = job(runtime, tmp_path, "ok", do="leftovers")
    name = given["marker"]
    runtime("create", "--name", name, "--pull=never", IMAGE, "/bin/sleep", "3600")
    entry = {
        "marker": name,
        "boot_id": "0d9b1f3a-0000-4000-8000-000000000000",
        "cgroup": None,
        "supervisor": [1, 1],
        "server": [1, 1],
        "sessions": {},
        "log": "pipe:[0]",
        "runtime": "podman",
    }
    Path(given["ledger"]).write_text(json.dumps(entry))
    assert run(runtime, given)["ended"] == []
    assert not Path(given["ledger"]).exists()
