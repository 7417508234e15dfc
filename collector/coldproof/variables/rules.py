"""What the controller alone can judge of a node's variables. The agent judges the rest there."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from coldproof.names import NODE
from coldproof.variables import names, plan, secrets

VARIABLE = re.compile(r"coldproof_[a-z_]+")
LOCAL_CONNECTIONS = ("local", "ansible.builtin.local", "ansible.legacy.local")
# The least and the most that a number may be; None: without a limit.
RANGES: dict[str, tuple[int, int | None]] = {
    "coldproof_repeats": (1, 100),
    "coldproof_max_model_len": (1, None),
    "coldproof_port": (0, 65535),
    "coldproof_poll_seconds": (10, None),
    "coldproof_reboot_batch": (1, None),
    "coldproof_shared_tier_concurrency": (1, None),
    "coldproof_reboot_timeout_s": (1, None),
}


@dataclass(frozen=True)
class Refusal:
    """Why a node is refused.

    Attributes:
        code: a word for programs.
        variable: the one to change; empty where the message names all that there is.
    """

    code: str
    variable: str
    message: str


@dataclass(frozen=True)
class Host:
    """What the rules need of the inventory beside coldproof's own variables."""

    name: str
    connection: str


def misnamed(given: Sequence[str], specs: Mapping[str, Any]) -> list[Refusal]:
    """Returns the refusal of names that do not exist: nothing that is measured depends on it."""
    message = names.unknown(given, list(specs))
    return [Refusal("unknown_variable", "", message)] if message else []


def mistyped(values: Mapping[str, Any], specs: Mapping[str, Any]) -> list[Refusal]:
    """Returns refusals of what must not go on to a validation, which turns texts into lists."""
    texts, found = names.texts(values, specs), secrets.find(values)
    refusals = []
    if texts:
        message = (
            f"{', '.join(texts)}: this is text, not a list or a dictionary; "
            'set it in the inventory, or as JSON: -e \'{"NAME": ["..."]}\''
        )
        refusals.append(Refusal("wrong_type", texts[0], message))
    if found:
        message = (
            f"{', '.join(map(': '.join, found))}: a secret would be read there by everybody; put "
            "it into coldproof_engine_secrets, under the name of an environment variable of the "
            "server"
        )
        refusals.append(Refusal("secret", found[0][0], message))
    return refusals


def invalid(errors: Sequence[str]) -> list[Refusal]:
    """Returns the refusal of what a validation against the specs found."""
    named = VARIABLE.search(" ".join(errors))
    return [Refusal("wrong_type", named[0] if named else "", "; ".join(errors))] if errors else []


def no_json(error: str) -> Refusal:
    """Returns the refusal of values that a plan cannot carry, as YAML's dates and numbered keys."""
    text = (
        f"coldproof_engine_env, coldproof_variants: {error}; write names and values as text, in "
        "quotes"
    )
    return Refusal("wrong_type", "coldproof_engine_env", text)


def wrong(values: Mapping[str, Any], host: Host) -> list[Refusal]:
    """Returns what is wrong with variables that have been validated against their specs."""
    return [
        *_of_node(values, host),
        *_of_storages(values),
        *_of_numbers(values),
        *_of_engine(values),
        *_of_demonstration(values),
    ]


def joined(refusals: Sequence[Refusal]) -> dict[str, str]:
    """Returns refusals as one outcome, as campaign.json keeps it: all messages, the first code."""
    variables = [one.variable for one in refusals if one.variable]
    message = "; ".join(one.message for one in refusals)
    first = Refusal(refusals[0].code, variables[0] if variables else "", message)
    return {"status": "refused", **asdict(first)}


def _of_node(values: Mapping[str, Any], host: Host) -> Iterator[Refusal]:
    if not NODE.fullmatch(host.name):
        yield Refusal(
            "node_name",
            "inventory_hostname",
            f"{host.name}: a node is called by letters, digits, dots, dashes and underscores; "
            "give it such a name in the inventory, and its address as ansible_host",
        )
    if values["coldproof_cold_method"] != "reboot":
        return
    if not values["coldproof_reboot_ok"]:
        yield Refusal(
            "no_consent",
            "coldproof_reboot_ok",
            "coldproof_cold_method reboot reboots the node; set coldproof_reboot_ok to true if it "
            "may",
        )
    if host.connection in LOCAL_CONNECTIONS:
        yield Refusal(
            "local_reboot",
            "coldproof_cold_method",
            "coldproof_cold_method reboot would reboot the machine that Ansible runs on, because "
            "this node has a local connection; reach it with ansible_connection ssh, from another "
            "machine",
        )


def _of_storages(values: Mapping[str, Any]) -> Iterator[Refusal]:
    tiers, variants = plan.tiers(values), values["coldproof_variants"]
    path = "coldproof_model_path"
    if not tiers:
        text = f"no model to start; set {path}, or coldproof_tiers for several storages"
        yield Refusal("no_model_path", path, text)
    if values["coldproof_tiers"] and values[path]:
        yield Refusal("two_model_paths", path, f"{path} and coldproof_tiers are both set; keep one")
    if len({tier["name"] for tier in tiers}) != len(tiers):
        yield Refusal("tier_names", "coldproof_tiers", "two tiers have the same name")
    if not variants or len({one["name"] for one in variants}) != len(variants):
        text = "give at least one variant, and no name twice"
        yield Refusal("variant_names", "coldproof_variants", text)

    if values["coldproof_cold_method"] == "reboot" and any(tier.get("shared") for tier in tiers):
        text = (
            "coldproof_cold_method reboot would give a node's turn on a shared tier away while it "
            "boots; measure shared tiers with evict or drop_caches, in a campaign of their own"
        )
        yield Refusal("shared_reboot", "coldproof_cold_method", text)


def _of_numbers(values: Mapping[str, Any]) -> Iterator[Refusal]:
    for name, (least, most) in RANGES.items():
        if values[name] < least or (most is not None and values[name] > most):
            bounds = f"{least} or more" if most is None else f"{least} to {most}"
            text = f"{name} is {values[name]}; it has to be {bounds}"
            yield Refusal("out_of_range", name, text)


def _of_engine(values: Mapping[str, Any]) -> Iterator[Refusal]:
    launcher, image = values["coldproof_launcher"], "coldproof_container_image"
    if launcher != "process" and not values[image]:
        yield Refusal("no_image", image, f"coldproof_launcher {launcher} needs {image}")
    command, path = "coldproof_engine_command", "coldproof_ready_path"
    if values["coldproof_engine"] == "custom" and not (values[command] and values[path]):
        yield Refusal("custom_engine", command, f"engine custom needs {command} and {path}")


def _of_demonstration(values: Mapping[str, Any]) -> Iterator[Refusal]:
    if not values["coldproof_demo"]:
        return
    folder = posixpath.dirname(values["coldproof_state_dir"]) + "/"
    paths = [posixpath.normpath(tier["path"]) for tier in plan.tiers(values)]
    if values["coldproof_engine"] != "reference" or any(not p.startswith(folder) for p in paths):
        yield Refusal(
            "demo_only",
            "coldproof_demo",
            "this inventory is the demonstration: it takes the engine reference and a model in "
            f"{folder} only; to measure your own, give your inventory with -i",
        )
