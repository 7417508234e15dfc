"""Stands in for the agent: launches a server as it does. ``agent.py JOB`` with a job in JSON.

A process of its own, because launching makes the caller a subreaper that ends its descendants.
It answers with JSON lines.
"""

import fcntl
import json
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any, Optional

import coldproof_agent.cli  # what the real agent has loaded counts in its memory
from coldproof_agent import container, engineprofile, launcher, plan, procfs, ready, supervisor
from coldproof_agent.containerlauncher import ContainerLauncher
from coldproof_agent.errors import Refusal
from coldproof_agent.logwatch import LogWatch
from coldproof_agent.phases import Phases, markers
from coldproof_agent.serverlog import ServerLog
from coldproof_agent.supervisor import Command

assert coldproof_agent.cli
Job = dict[str, Any]


def say(**answer: Any) -> None:
    """Prints one answer."""
    print(json.dumps(answer), flush=True)


def server_of(job: Job) -> launcher.ProcessLauncher:
    """Returns the job's launcher: a plain process tree, or a container of the job's plan."""
    ledger = Path(job["ledger"])
    if "plan" not in job:
        return launcher.ProcessLauncher(ledger)
    made = container.of(plan.check(job["plan"]), engineprofile.load("custom"), ledger.parent)
    assert made is not None
    made.prepare()
    return ContainerLauncher(ledger, made, made.mounts, job.get("secret", ()))


class Listener:
    """What an engine's profile makes of the lines of a log."""

    def __init__(self, engine: str) -> None:
        self.data = engineprofile.load(engine).data
        self.phases = Phases(self.data["first_phase"], markers(self.data["markers"]))
        self.told = LogWatch(self.data)

    def line(self, stamp: float, text: str) -> None:
        """Takes a line of the log."""
        self.phases.line(stamp, text)
        self.told.line(stamp, text)

    def check(self, given: ready.Check) -> ready.Check:
        """Returns a check with what ready means for this engine."""
        means = self.data["ready"]
        return given._replace(
            path=means["path"],
            health_path=self.data["health_path"],
            models_path=means.get("models_path"),
            said=self.told.ready_at,
            answer_s=means.get("answer_s", ready.ANSWER_S),
        )


def start(
    server: launcher.ProcessLauncher, job: Job, known: Optional[Listener] = None
) -> ServerLog:
    """Starts the job's server, its log beside the ledger."""
    rights = job.get("rights", {})
    inherited = {} if "plan" in job else os.environ
    command = Command(job["argv"], {**inherited, **job.get("env", {})}, "/", **rights)
    pipe = server.start(command, job["marker"])
    path = Path(job["ledger"]).with_suffix(".log")
    return ServerLog(pipe, path, server.started_at, (), known.line if known else ignore)


def ignore(_stamp: float, _line: str) -> None:
    """Takes a line of the log and does nothing with it."""


def check_of(job: Job) -> ready.Check:
    """Returns the job's idea of readiness."""
    health = job.get("health")
    path = job.get("path", "/v1/models")
    return ready.Check("127.0.0.1", job["port"], path, health, job["model_id"], job["timeout_s"])


def cpu_s(pid: int) -> float:
    """Returns the processor seconds of a process, without its children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def pss_mib(pid: int) -> float:
    """Returns the memory of a process, shared pages divided by their users."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no Pss")


class Cost:
    """What agent and supervisor cost from two seconds after the start on."""

    def __init__(self, server: launcher.ProcessLauncher) -> None:
        one = procfs.process(server.pid)
        self._pids = [os.getpid(), one.ppid if one else 0]
        self._from = server.started_at + 2
        self._base = 0.0

    def idle(self) -> None:
        """Notes where the processor time stands when the two seconds are over."""
        if not self._base and time.monotonic() > self._from:
            self._from = time.monotonic()
            self._base = sum(map(cpu_s, self._pids))

    def result(self) -> Job:
        """Returns processor and elapsed seconds, and the memory of both."""
        spent = sum(map(cpu_s, self._pids)) - self._base
        elapsed = time.monotonic() - self._from
        return {"cpu_s": spent, "of_s": elapsed, "pss_mib": sum(map(pss_mib, self._pids))}


def left() -> list[str]:
    """Returns what lives below this process."""
    below = procfs.descendants(os.getpid())
    return [f"{one.pid} {one.name}" for one in below if one.state != "Z"]


def run(job: Job) -> None:
    """Starts, waits until ready, stops; says everything."""
    server = server_of(job)
    answer: Job = {"waited": None, "error": None}
    log = None
    known = Listener(job["engine"]) if "engine" in job else None
    check = known.check(check_of(job)) if known else check_of(job)
    try:
        log = start(server, job, known)
        cost = Cost(server) if job.get("cost") else None
        waited = ready.wait(server, check, cost.idle if cost else lambda: None)
        if cost:
            answer["cost"] = cost.result()
        time.sleep(job.get("evidence_s", 0.0))
        waited = ready.still(server, waited)
        answer["waited"] = waited._asdict()
        if known and waited.load_s is not None:
            answer["phases"] = known.phases.result(waited.load_s)
            answer["missing"] = known.phases.missing()
            answer["started_at"], answer["told"] = server.started_at, known.told.values()
        answer["tree"] = [one.name for one in server.tree()]
    except OSError as error:
        answer["error"] = str(error)
    finally:
        answer["stopped"] = server.stop(job.get("grace_s", 2.0))
        if log:
            log.close()
            answer["log"] = log.tail()
    answer["again"] = server.stop(1.0)
    answer["exit_status"] = server.exit_status
    answer["left"] = left()
    answer["ledger"] = Path(job["ledger"]).exists()
    say(**answer)


def hold(job: Job) -> None:
    """Starts, says who lives, and keeps the server until it is interrupted or killed."""
    if "lock" in job:
        fcntl.flock(os.open(job["lock"], os.O_RDWR | os.O_CREAT), fcntl.LOCK_EX)
    server = server_of(job)
    say(agent=os.getpid())
    try:
        start(server, job)
        say(pid=server.pid)
        family = job.get("family", 1)
        before: list[int] = []
        said: list[int] = []
        while not server.wait(0.02):
            tree = [one.pid for one in server.tree()]
            # Seen twice if it shall be whole: who forks a daemon and ends does not count.
            stable = family == 1 or tree == before
            if len(tree) >= family and stable and tree != said:
                keeper = procfs.process(server.pid)
                say(supervisor=keeper.ppid if keeper else 0, tree=tree)
                said = tree
            before = tree
    except KeyboardInterrupt:
        say(interrupted=True)
    finally:
        stopped = server.stop(1.0)
        say(stopped=stopped, left=left())


def kill_supervisors(job: Job) -> None:
    """Kills supervisor after supervisor, each at a random instant of its life."""
    chance = random.Random(job["seed"])
    outcomes: dict[str, int] = {}
    for number in range(job["count"]):
        server = launcher.ProcessLauncher(Path(job["ledger"]))
        delay = chance.uniform(0.0, job["within_s"])
        done = threading.Event()
        killer = threading.Thread(target=kill_child, args=(delay, done))
        killer.start()
        try:
            start(server, job)
            while not done.is_set():
                server.wait(0.005)
            outcome = "lost" if server.wait(1.0) and server.exit_status is None else "seen"
        except OSError:
            outcome = "not started"
        done.set()  # it never started: there is nobody to kill
        killer.join()
        stopped = server.stop(chance.choice([0.0, 0.2]))
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
        if left() or stopped["stuck"]:
            say(number=number, left=left(), stopped=stopped)
            return
    say(outcomes=outcomes, left=left(), ledger=Path(job["ledger"]).exists())


def kill_child(delay: float, done: threading.Event) -> None:
    """Kills the first child that this process has after a while."""
    time.sleep(delay)
    mine = Path(f"/proc/self/task/{os.getpid()}/children")
    while not done.is_set():
        for pid in mine.read_text().split()[:1]:
            os.kill(int(pid), signal.SIGKILL)
            done.set()
        time.sleep(0.0005)


def refusal(job: Job) -> None:
    """Says why the job's container cannot be."""
    try:
        server_of(job)
    except Refusal as refused:
        say(refused=refused.as_dict())


def leftovers(job: Job) -> None:
    """Ends what an earlier agent left."""
    try:
        say(ended=launcher.end_leftovers(Path(job["ledger"])))
    except Refusal as refusal:
        say(refused=refusal.as_dict())


if __name__ == "__main__":
    # A shell ignores it for what it starts in the background, and so for everything below.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    supervisor.become_subreaper()
    given = json.loads(sys.argv[1])
    {
        "run": run,
        "hold": hold,
        "kill_supervisors": kill_supervisors,
        "leftovers": leftovers,
        "refusal": refusal,
    }[given["do"]](given)
