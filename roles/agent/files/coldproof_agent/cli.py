"""The agent's command line: a subcommand for each noun. Answers are one JSON line."""

from __future__ import annotations

import argparse
import base64
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

from coldproof_agent import (
    __version__,
    clean,
    cooling,
    detach,
    engineprofile,
    gpu,
    host,
    makemodel,
    pack,
    preflight,
    reading,
    residency,
    runtime,
    single,
    storage,
    weights,
)
from coldproof_agent import (
    plan as plans,
)
from coldproof_agent.errors import Refusal
from coldproof_agent.files import FileRef, refer

DEFAULT_STATE = "~/.local/state/coldproof"


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Runs a subcommand. Returns the exit status: 0 done, 1 refused or failed, 2 usage."""
    options = _parser().parse_args(argv)
    try:
        answer, status = options.run(options)
    except Refusal as refusal:
        hint = f" (see {refusal.variable})" if refusal.variable else ""
        print(f"coldproof-agent: {refusal.code}: {refusal.message}{hint}", file=sys.stderr)
        return 1
    except (OSError, ValueError) as error:
        print(f"coldproof-agent: {error}", file=sys.stderr)
        return 1
    if answer is not None:
        print(json.dumps(answer, sort_keys=True))
    return int(status)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="coldproof-agent",
        description="Times starts of an LLM inference server on this node, cold and warm, and "
        "proves which they were.",
    )
    parser.add_argument("--version", action="version", version=f"coldproof-agent {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=text, description=text)
        one.set_defaults(run=run)
        return one

    def state(one: argparse.ArgumentParser) -> None:
        one.add_argument("--state", default=DEFAULT_STATE, help=f"state folder ({DEFAULT_STATE})")

    one = command("facts", _facts, "what this node is: host, GPUs, and the storage of a path")
    one.add_argument("path", nargs="?", help="a model's folder")
    for name, run, text in (
        ("residency", _residency, "how much of a model or file is in the page cache"),
        ("evict", _evict, "take a model or file out of the page cache, and look whether it went"),
        (
            "prewarm",
            _prewarm,
            "bring a model or file into the page cache, and look whether it came",
        ),
        ("ceiling", _ceiling, "what the storage of a model delivers: O_DIRECT and buffered, twice"),
    ):
        one = command(name, run, text)
        one.add_argument("path", help="a model's folder, or a file")
    one = command("measure", _measure, "one start of the server, appended as a row to a CSV")
    one.add_argument("mode", choices=("prime", "cold", "warm"))
    one.add_argument("--model", default="model", help="name for the report")
    one.add_argument("--model-path", required=True, help="the model's folder")
    one.add_argument("--max-model-len", type=int, default=2048, help="tokens (2048)")
    one.add_argument(
        "--engine", default="vllm", help=f"one of {', '.join(engineprofile.NAMES)} (vllm)"
    )
    one.add_argument("--engine-python", help="interpreter that has the engine")
    one.add_argument(
        "--engine-arg", action="append", default=[], help="one more word for the engine"
    )
    one.add_argument("--engine-env", action="append", default=[], metavar="NAME=VALUE")
    one.add_argument("--engine-command", default="[]", help="engine custom: a JSON list of words")
    one.add_argument(
        "--ready-path", default="", help="engine custom: the path that is 200 when ready"
    )
    one.add_argument("--launcher", default="process", choices=("process", *runtime.NAMES))
    one.add_argument("--image", default="", help="docker, podman: the image, which must be here")
    one.add_argument("--mount", action="append", default=[], metavar="HOST:CONTAINER[:ro]")
    one.add_argument("--container-arg", action="append", default=[], help="one more word for run")
    one.add_argument("--container-gpus", default="all", choices=("all", "none"))
    one.add_argument("--cold-method", default="evict", choices=("evict", "drop_caches"))
    one.add_argument("--compile-cache", default="keep", choices=("keep", "fresh"))
    one.add_argument("--first-token", action="store_true", help="ask for one after it is ready")
    one.add_argument("--ready-timeout", type=float, default=1800, help="seconds (1800)")
    one.add_argument("--csv", default="storage_load_bench.csv", help="file to append to")
    one.add_argument("--state", default=DEFAULT_STATE + "-single")
    one = command("plan", _plan, "check a plan; --expand shows its steps")
    one.add_argument("plan", help="plan.json")
    one.add_argument("--expand", action="store_true")
    one = command("preflight", _preflight, "what would keep a plan from being carried out here")
    one.add_argument("--plan-b64", required=True, help="the plan as base64 of its JSON")
    state(one)
    one = command("start", _start, "start the plan in the state folder, detached")
    one.add_argument("--plan", help="a plan file to put there first")
    state(one)
    one = command("run", _run, "carry out the plan in the state folder, in the foreground")
    one.add_argument("--report-fd", type=int, default=-1, help=argparse.SUPPRESS)
    state(one)
    one = command("status", _status, "where the agent stands")
    state(one)
    one = command("pack", _pack, "pack a campaign's results into one archive to be fetched")
    one.add_argument("--campaign", required=True)
    state(one)
    one = command("clean", _clean, "end what runs here and delete every trace of it")
    state(one)
    one = command("make-model", _make_model, "write a model of random weights in two shards")
    one.add_argument("path")
    one.add_argument("--mib", type=int, default=1024, help="size in MiB (1024)")
    return parser


def _folder(options: argparse.Namespace) -> Path:
    return Path(options.state).expanduser().absolute()


def _files(path: str) -> tuple[list[FileRef], dict[str, str]]:
    found = [refer(path)] if Path(path).is_file() else weights.find(path)
    return found, residency.trusted(found, [], may_evict=False)


def _facts(options: argparse.Namespace) -> tuple[Any, int]:
    answer: dict[str, Any] = {"agent": __version__, "host": host.describe(), "gpu": gpu.look()}
    if options.path:
        answer["storage"] = storage.describe(options.path, host.virtual())
        answer["weights"] = weights.describe(options.path, weights.find(options.path))
    return answer, 0


def _residency(options: argparse.Namespace) -> tuple[Any, int]:
    files, verdicts = _files(options.path)
    seen = residency.look(files, verdicts)
    return {**seen.as_dict(seen.known), "agreed": seen.agreed}, 0


def _evict(options: argparse.Namespace) -> tuple[Any, int]:
    files, verdicts = _files(options.path)
    answer = cooling.evict(files, verdicts)
    cold = answer["fraction"] is not None and answer["fraction"] <= cooling.COLD_SHARE
    return {
        **answer,
        "cold": cold,
        "holders": [] if cold else cooling.holders(files),
    }, 0 if cold else 1


def _prewarm(options: argparse.Namespace) -> tuple[Any, int]:
    return reading.prewarm(*_files(options.path)), 0


def _ceiling(options: argparse.Namespace) -> tuple[Any, int]:
    return reading.ceiling(*_files(options.path)), 0


def _measure(options: argparse.Namespace) -> tuple[Any, int]:
    pairs = [one.partition("=") for one in options.engine_env]
    if not all(found for _, found, _ in pairs):
        raise ValueError(f"--engine-env {options.engine_env}: each is NAME=VALUE")
    try:
        command = json.loads(options.engine_command)
    except ValueError as error:
        raise ValueError(
            f'--engine-command {options.engine_command!r}: a JSON list, as ["serve", "x"] ({error})'
        ) from error
    if not 1 <= options.ready_timeout < 1e9:
        raise ValueError(f"--ready-timeout {options.ready_timeout:g}: seconds, at least 1")
    settings = {
        "model": options.model,
        "max_model_len": options.max_model_len,
        "engine": options.engine,
        "engine_command": command,
        "engine_args": options.engine_arg,
        "engine_env": {name: value for name, _, value in pairs},
        "ready_path": options.ready_path,
        "cold_method": options.cold_method,
        "compile_cache": options.compile_cache,
        "first_token": options.first_token,
        "ready_timeout_s": options.ready_timeout,
    }
    if options.launcher != "process":
        settings["launcher"] = options.launcher
        settings["container_image"] = options.image
        settings["container_args"] = options.container_arg
        settings["container_gpus"] = options.container_gpus
    local = {"engine_python": options.engine_python, "container_mounts": options.mount}
    path = str(Path(options.model_path).absolute())
    plan = single.plan_of(settings, local, path, _folder(options))
    record = single.run(plan, options.mode, _folder(options), Path(options.csv))
    kept = (
        "run_id",
        "mode",
        "state",
        "scope",
        "reasons",
        "load_s",
        "outcome",
        "outcome_detail",
        "compile",
        "flags",
        "gpu_mem_used_mb",
    )
    answer = {name: record[name] for name in kept}
    if record["outcome"] != "ready":
        return {**answer, "log_tail": record["log"]["tail"][-10:]}, 1
    return answer, 0


def _plan(options: argparse.Namespace) -> tuple[Any, int]:
    plan = plans.read(Path(options.plan))
    if not options.expand:
        return {"ok": True, "campaign": plan.campaign, "steps": len(plans.expand(plan))}, 0
    for number, step in enumerate(plans.expand(plan), 1):
        print(f"{number:4d}  {step.title(int(plan.settings['repeats']))}")
    return None, 0


def _preflight(options: argparse.Namespace) -> tuple[Any, int]:
    try:
        value = json.loads(base64.b64decode(options.plan_b64, validate=True))
    except ValueError as error:
        print(f"coldproof-agent: --plan-b64: {error}", file=sys.stderr)
        return None, 2
    try:
        return preflight.examine(plans.check(value), _folder(options)), 0
    except Refusal as refusal:
        return {
            "ok": False,
            "refusals": [refusal.as_dict()],
            "warnings": [],
            "expected": {"minutes": None, "bytes": None},
            "steps": [],
        }, 0


def _start(options: argparse.Namespace) -> tuple[Any, int]:
    if options.plan:
        detach.prepare_by_hand(_folder(options), Path(options.plan))
    answer = detach.start(_folder(options))
    return answer, 0 if answer["ok"] else 1


def _run(options: argparse.Namespace) -> tuple[Any, int]:
    return None, detach.carry_out(_folder(options), options.report_fd)


def _status(options: argparse.Namespace) -> tuple[Any, int]:
    path = _folder(options) / "status.json"
    if not path.exists():
        raise Refusal("no_status", f"{path} is not there: no plan was ever started here")
    return json.loads(path.read_bytes()), 0


def _pack(options: argparse.Namespace) -> tuple[Any, int]:
    return pack.pack(_folder(options), options.campaign), 0


def _clean(options: argparse.Namespace) -> tuple[Any, int]:
    return clean.clean(_folder(options)), 0


def _make_model(options: argparse.Namespace) -> tuple[Any, int]:
    return makemodel.make(options.path, options.mib), 0
