"""Servers in containers on real machines: two podmans of Debian, systemd, the io controller.

The image is made on each machine from its own interpreter, for the machines have no network. What
hostile servers do to the launcher itself is tested in tests/unit/agent/test_containers.py.
"""

from __future__ import annotations

import json
import random
import shlex
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.fleet.nodes import FleetError
from tests.fleet.play import Play
from tests.vm.conftest import BOOKWORM, MODEL_MIB, TRIXIE
from tests.vm.fleet import Machines
from tests.vm.images import EXTRA
from tests.vm.job import STATE, fetched, probe
from tests.vm.machines import MODELS, Machine

pytestmark = pytest.mark.skipif(
    "podman" not in EXTRA, reason="make test-containers builds machines that have podman"
)
IMAGE = "localhost/coldproof-test:1"
UP = (BOOKWORM, TRIXIE)
REPEATS = 1
KILLS = 2
SERVER = Path(__file__).parents[1] / "unit/agent/drivers/server.py"
THERE = "/root/server.py"
# Debian's interpreter with its library, a shell and sleep, and what they load.
MAKE_IMAGE = f"""
set -e
cd /root
python=$(readlink -f /usr/bin/python3)
library=/usr/lib/$(basename $python)
programs="/usr/bin/python3 /bin/sh /bin/sleep"
ldd $programs $library/lib-dynload/*.so | awk '/=>/ {{print $3}} /^\\t\\// {{print $1}}' >list
printf '%s\\n' $programs $library >>list
sort -u list | sed 's,^/,,' >names
tar -C / -ch --hard-dereference --exclude=__pycache__ --exclude=test -T names -f image.tar
podman import -q image.tar {IMAGE}
rm image.tar list names
"""
# Of the server that an agent has started, by its ledger.
SUPERVISOR = "grep -o '\"supervisor\":\\[[0-9]*' /root/single/launched.json | grep -o '[0-9]*$'"
VARIABLES = {
    "coldproof_launcher": "podman",
    "coldproof_container_image": IMAGE,
    "coldproof_container_gpus": "none",
    "coldproof_container_args": ["--shm-size=64m"],
    "coldproof_repeats": REPEATS,
}


@pytest.fixture(scope="module")
def imported(machines: Machines) -> list[Machine]:
    """Both machines, with the image."""
    chosen = [machines.machines[name] for name in UP]

    def prepare(machine: Machine) -> None:
        machine.wait_for_ssh()
        machine.ssh(f"sh -c {shlex.quote(MAKE_IMAGE)}", limit_s=300)
        machine.put(SERVER, THERE)

    with ThreadPoolExecutor() as pool:
        list(pool.map(prepare, chosen))
    return chosen


@pytest.fixture(scope="module")
def job(
    machines: Machines, imported: list[Machine], tmp_path_factory: pytest.TempPathFactory
) -> Play:
    """The main job over both machines, in containers."""
    kept = [dict(machine.variables) for machine in imported]
    for machine in imported:
        machine.variables |= VARIABLES
    try:
        return probe(tmp_path_factory.mktemp("controller"), machines.inventory(*UP))
    finally:
        for machine, before in zip(imported, kept, strict=True):
            machine.variables = before


def containers(machine: Machine) -> list[str]:
    return machine.ssh("podman ps -a --format '{{.Names}}'").split()


@pytest.mark.parametrize("name", UP)
def test_starts_in_containers_are_proven(job: Play, machines: Machines, name: str) -> None:
    assert job.outcomes()[name]["status"] == "complete", job.output
    machine = machines.machines[name]
    runs = [run for run in fetched(job, machine) if run["mode"] != "prime"]
    assert [run["state"] for run in runs] == ["proven_cold", "proven_warm"] * REPEATS, runs
    for run in runs:
        assert run["engine"]["container"]["runtime"] == "podman"
        assert run["phases"][0]["name"] == "container start"
        assert 0 < run["edges"]["server_process"] < run["load_s"]
        assert run["stop"]["removed"] is True
        assert run["flags"] == [] or run["flags"] == ["bytes_above_expected"], run["flags"]
    assert containers(machine) == []


@pytest.mark.parametrize("name", UP)
def test_cold_covers_the_image_and_bytes_are_those_of_the_control_group(
    job: Play, machines: Machines, name: str
) -> None:
    for run in fetched(job, machines.machines[name]):
        if run["mode"] != "cold":
            continue
        assert run["scope"] == "host+guest", run["reasons"]
        assert run["engine_files"]["files"] > 20, "the interpreter's own, in the image's layer"
        read = run["bytes"]["process_at_ready"]
        assert read >= 0.9 * (MODEL_MIB << 20)
        on_nvme = next(d for d in run["bytes"]["devices"] if d["name"] == "nvme0n1")
        assert abs(on_nvme["read_bytes"] - (MODEL_MIB << 20)) < 0.1 * (MODEL_MIB << 20)


def test_a_stack_of_devices_is_counted_once(trixie: Machine, job: Play) -> None:
    """The kernel counts for the loop device and for the disk below it; the model is the top."""
    asked = "from coldproof_agent import cgroup; from pathlib import Path; import sys; "
    asked += "print(cgroup.Group(Path(sys.argv[1])).read_bytes())"
    script = f"""
    set -e
    group=/sys/fs/cgroup/stack.slice
    truncate -s 64M {MODELS}/image
    mke2fs -q -t ext4 {MODELS}/image
    mount -o loop {MODELS}/image /mnt
    head -c 40M /dev/urandom >/mnt/file
    sync
    echo 3 >/proc/sys/vm/drop_caches
    mkdir $group
    echo +io >/sys/fs/cgroup/cgroup.subtree_control
    sh -c 'echo $$ >/sys/fs/cgroup/stack.slice/cgroup.procs; cat /mnt/file >/dev/null'
    PYTHONPATH={STATE}/coldproof-agent.pyz python3 -c '{asked}' $group
    umount /mnt
    rm {MODELS}/image
    rmdir $group
    """
    read = int(trixie.ssh(script, limit_s=120))
    assert 40 << 20 <= read < 44 << 20


def test_what_cannot_run_is_refused_by_name(trixie: Machine, job: Play) -> None:
    """By the agent that the job left on the node, as preflight asks it."""
    plan = json.loads(trixie.ssh(f"cat {STATE}/campaigns/*/plan.json"))
    changes: dict[str, Any] = {
        "container_image": "localhost/absent:1",
        "container_args": ["--rm"],
        "container_gpus": "all",
        "launcher": "docker",
        "container_mounts": ["/srv:/srv:z"],
    }
    request = f"""
import json, sys
sys.path.insert(0, "{STATE}/coldproof-agent.pyz")
from pathlib import Path
from coldproof_agent import plan, preflight
given, changes = json.loads({json.dumps(json.dumps([plan, changes]))})
for name, value in changes.items():
    part = "settings" if name in given["settings"] else "local"
    one = dict(given, **{{part: dict(given[part], **{{name: value}})}})
    one["campaign"] = "20260101T000000Z-" + plan.digest(one["settings"])[:12]
    found = preflight.examine(plan.check(one), Path("/root/empty"))
    print(json.dumps([name, [refusal["variable"] for refusal in found["refusals"]]]))
"""
    said = trixie.ssh(f"python3 -c {shlex.quote(request)}", limit_s=240)
    found = dict(json.loads(line) for line in said.splitlines())
    assert found == {name: [f"coldproof_{name}"] for name in changes}


def measure(behaviour: str, **options: str) -> str:
    """Returns the command line of one start of a hostile server in a container."""
    command = json.dumps(["python3", "-I", "-S", THERE, behaviour, "{port}", "{served_model_name}"])
    words = [
        "python3", f"{STATE}/coldproof-agent.pyz", "measure", "prime", "--launcher", "podman",
        "--image", IMAGE, "--container-gpus", "none", "--mount", f"{THERE}:{THERE}:ro",
        "--engine", "custom", "--engine-command", command, "--ready-path", "/v1/models",
        "--model-path", f"{MODELS}/m", "--state", "/root/single", "--csv", "/root/rows.csv",
    ]  # fmt: skip
    for name, value in options.items():
        words += [f"--{name.replace('_', '-')}", value]
    return shlex.join(words)


@pytest.mark.parametrize(("behaviour", "outcome"), [("crash", "crashed"), ("headless", "crashed")])
def test_a_hostile_server_is_a_row_and_nothing_is_left(
    trixie: Machine, job: Play, behaviour: str, outcome: str
) -> None:
    said = trixie.ssh(f"{measure(behaviour, ready_timeout='20')} || true", limit_s=180)
    assert json.loads(said.splitlines()[-1])["outcome"] == outcome, said
    assert containers(trixie) == []
    assert trixie.ssh("pgrep -f '[s]erver[.]py' || true") == ""


def test_an_agent_killed_at_random_leaves_nothing_after_the_next_start(
    trixie: Machine, job: Play
) -> None:
    seed = random.randrange(1 << 30)
    print(f"killed agents: seed {seed}")
    chance = random.Random(seed)
    for _ in range(KILLS):
        begun = f"setsid {measure('family')} >/root/out 2>&1 </dev/null & echo $!"
        agent = trixie.ssh(begun).strip()
        time.sleep(chance.uniform(5.0, 30.0))
        trixie.ssh(f"kill -KILL {agent}" + chance.choice(["", f"; kill -KILL $({SUPERVISOR})"]))
        said = trixie.ssh(f"{measure('crash')} || true", limit_s=240)
        assert json.loads(said.splitlines()[-1])["outcome"] == "crashed", said
        assert containers(trixie) == []
        with pytest.raises(FleetError):
            trixie.ssh("pgrep -f '[s]erver[.]py' || pgrep conmon")


def test_clean_removes_containers_that_carry_the_label(trixie: Machine, job: Play) -> None:
    trixie.ssh(
        f"podman create --pull=never --name left --label coldproof.state={STATE} {IMAGE} /bin/sh"
    )
    trixie.ssh(f"podman create --pull=never --name other {IMAGE} /bin/sh")
    trixie.ssh(f"python3 {STATE}/coldproof-agent.pyz clean --state {STATE}")
    assert containers(trixie) == ["other"]
    trixie.ssh("podman rm other")
