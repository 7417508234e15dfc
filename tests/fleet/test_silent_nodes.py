"""Nodes that give no answer: none keeps the job waiting for ever, and silence is no agent's end."""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator

import pytest

from tests.fleet.broken import with_fault
from tests.fleet.controllers import Controller, wait_for_step
from tests.fleet.models import write_model
from tests.fleet.nodes import Fleet, Node
from tests.fleet.play import ROOT, Play, run_playbook

# Silence takes its time.
pytestmark = pytest.mark.slow
REFUSED = 3
HANGS = {"command": "start", "status": {}, "fifo": True}
HANGS_EARLY = {"command": "preflight", "sleep": 60}
FOR_A_WHILE, FOR_EVER, HANGING, FROZEN, EARLY = (
    "gpu-silent-refuses",
    "gpu-silent-refuses-always",
    "gpu-silent-hangs",
    "gpu-silent-frozen",
    "gpu-silent-early",
)
SUDO = """\
#!/bin/sh
while test "$1" != /bin/sh; do shift; done
case "$*" in *head*status.json*)
  left=$(cat {count})
  if test "$left" -gt 0; then
    echo $((left - 1)) > {count}
    echo "sudo: a password is required" >&2
    exit 1
  fi;;
esac
exec "$@"
"""


def ssh_args() -> str:
    """Returns the ssh_args of ansible.cfg."""
    config = configparser.ConfigParser(interpolation=None)
    config.read(ROOT / "ansible.cfg", "utf-8")
    return config["ssh_connection"]["ssh_args"]


def refuse_looks(node: Node, times: int) -> None:
    """Gives a node a sudo that refuses its first looks, and nothing else."""
    count, sudo = node.folder / "looks-to-refuse", node.folder / "sudo"
    count.write_text(f"{times}\n", encoding="ascii")
    sudo.write_text(SUDO.format(count=count), encoding="ascii")
    sudo.chmod(0o755)
    # It changes no rights. Ansible does not become whom it is.
    become = {"ansible_become": True, "ansible_become_user": "daemon"}
    node.variables |= {**become, "ansible_become_exe": str(sudo)}


@pytest.fixture(scope="module")
def play(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    """The main job over nodes that are silent in different ways, with shorter limits."""
    nodes = {name: fleet.add(name) for name in (FOR_A_WHILE, FOR_EVER, HANGING, FROZEN, EARLY)}
    for node in nodes.values():
        node.variables["coldproof_model_path"] = str(write_model(node.folder / "m", mib=8))
    refuse_looks(nodes[FOR_A_WHILE], REFUSED)
    refuse_looks(nodes[FOR_EVER], 10_000)
    with_fault(nodes[HANGING], HANGS)
    with_fault(nodes[EARLY], HANGS_EARLY)
    nodes[FOR_EVER].variables["limit_s"] = 10
    shorter = re.sub(r"(Interval|CountMax)=\d+", r"\1=2", ssh_args())
    extra = {
        "ansible_ssh_args": shorter,
        "ansible_ssh_retries": "0",
        "ansible_ssh_timeout": "5",
        "coldproof_repeats": "3",
        "__measure_limit_s": "{{ limit_s | default(600) }}",
        "__preflight_timeout_s": "10",
        "__measure_look_timeout_s": "12",
        "__collect_timeout_s": "8",
    }
    try:
        directory = tmp_path_factory.mktemp("silent")
        words = [word for name, value in extra.items() for word in ("-e", f"{name}='{value}'")]
        with Controller(directory, fleet.inventory(*nodes), *words) as controller:
            wait_for_step(nodes[FROZEN], 2, controller)
            nodes[FROZEN].freeze()
            code = controller.process.wait(timeout=150)
        left = (nodes[FOR_A_WHILE].folder / "looks-to-refuse").read_text("ascii")
        (directory / "refused").write_text(left, encoding="ascii")
        yield Play(code, controller.output, [], directory / "reports")
    finally:
        for node in nodes.values():
            node.thaw()
            fleet.nodes.pop(node.name).stop()
        # Whoever hangs in it ends with it.
        hung = nodes[HANGING].state / "status.json"
        if hung.is_fifo():
            hung.open("r+b", buffering=0).close()


def test_silence_is_a_row_and_the_job_ends(play: Play) -> None:
    assert play.code == 2
    assert set(play.outcomes()) == {FOR_A_WHILE, FOR_EVER, HANGING, FROZEN, EARLY}
    failed = {name for name, counts in play.recap().items() if counts["failed"]}
    assert failed == {FOR_EVER, HANGING, FROZEN, EARLY}, play.output


def test_a_look_that_is_refused_is_tried_again(play: Play) -> None:
    assert play.outcomes()[FOR_A_WHILE]["status"] == "complete", play.output
    assert (play.reports.parent / "refused").read_text("ascii") == "0\n"


def test_looks_that_are_all_refused_say_nothing_of_the_agent(play: Play) -> None:
    outcome = play.outcomes()[FOR_EVER]
    assert (outcome["status"], outcome["code"]) == ("unreachable", "no_answer"), outcome
    assert "sudo" in outcome["message"]


def test_a_look_that_hangs_is_given_up(play: Play) -> None:
    outcome = play.outcomes()[HANGING]
    assert (outcome["status"], outcome["code"]) == ("unreachable", "no_answer"), outcome
    assert "12 s" in outcome["message"]


def test_a_module_that_hangs_is_given_up(play: Play) -> None:
    outcome = play.outcomes()[EARLY]
    assert (outcome["status"], outcome["code"]) == ("failed", "no_answer"), outcome
    assert "within 10 s" in outcome["message"]


def test_a_node_that_dies_without_a_word_is_unreachable(play: Play) -> None:
    outcome = play.outcomes()[FROZEN]
    assert (outcome["status"], outcome["code"]) == ("unreachable", "unreachable"), outcome


def test_collect_says_of_silence_that_it_is_silence(fleet: Fleet, play: Play) -> None:
    again = run_playbook(play.reports.parent, fleet.inventory(FOR_EVER), playbook="collect.yml")
    assert again.code == 2
    outcome = again.outcomes()[FOR_EVER]
    assert (outcome["status"], outcome["code"]) == ("unreachable", "no_answer"), outcome
    assert "sudo" in outcome["message"]


def test_a_dead_connection_is_noticed_within_a_minute() -> None:
    options = dict(re.findall(r"-o (\w+)=(\S+)", ssh_args()))
    assert int(options["ServerAliveInterval"]) * int(options["ServerAliveCountMax"]) <= 60
    # What Ansible would use where a configuration says nothing.
    assert ssh_args().startswith("-C -o ControlMaster=auto -o ControlPersist=60s")
