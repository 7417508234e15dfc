"""What a container is shown of the node, and which words of the user leave it to be watched."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from coldproof_agent import (
    cgroup,
    container,
    containerwords,
    engineprofile,
    mounts,
    plan,
    procfs,
)
from coldproof_agent.engineprofile import Place
from coldproof_agent.errors import Refusal
from coldproof_agent.mounts import Mount
from tests.unit.agent import plans


def test_mounts_are_read() -> None:
    assert mounts.parse(["/a:/b", "/a/:/c:ro", "/x:/y:rw"]) == [
        Mount("/a", "/b", False),
        Mount("/a", "/c", True),
        Mount("/x", "/y", False),
    ]
    assert mounts.parse(["/a:/c:ro"])[0].word() == "type=bind,source=/a,target=/c,readonly"


@pytest.mark.parametrize(
    "text", ["/a:/b:z", "/a:/b:Z", "/a:/b:ro,z", "/a:/b:U", "a:/b", "/a:b", "/a", "/a,b:/c", ""]
)
def test_a_mount_that_relabels_or_is_none_is_refused(text: str) -> None:
    with pytest.raises(Refusal) as refused:
        mounts.parse([text])
    assert refused.value.variable == "coldproof_container_mounts"
    assert text in refused.value.message


def test_a_model_is_shown_with_the_blobs_that_its_links_lead_to() -> None:
    model, blobs = "/hub/m/snapshots/1", "/hub/m/blobs"
    found = mounts.of_model(model, [f"{blobs}/a", f"{blobs}/b", f"{model}/c"], [])
    assert found == [Mount(model, model, True), Mount(blobs, blobs, True)]
    # What is shown at its own path already needs no second mount.
    assert mounts.of_model(model, [f"{blobs}/a"], [Mount("/hub", "/hub", False)]) == []
    assert mounts.of_model(model, [], [Mount("/hub", "/elsewhere", False)]) != []


def test_a_path_of_the_container_is_found_on_the_node() -> None:
    given = [Mount("/data", "/cache", False), Mount("/fast", "/cache/vllm", False)]
    assert mounts.on_node("/cache/triton", given) == "/data/triton"
    assert mounts.on_node("/cache/vllm/x", given) == "/fast/x"
    assert mounts.on_node("/cache", given) == "/data"
    assert mounts.on_node("/root/.cache", given) is None
    assert mounts.on_node("/cached", given) is None
    assert mounts.on_node("cache", given) is None


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("--rm", "launcher"),
        ("--name=x", "launcher"),
        ("--network=bridge", "launcher"),
        ("-d", "launcher"),
        ("-it", "launcher"),
        ("-v/a:/b:z", "coldproof_container_mounts"),
        ("--volume=/a:/b:z", "coldproof_container_mounts"),
        ("--mount", "coldproof_container_mounts"),
        ("-eHF_TOKEN=x", "coldproof_engine_secrets"),
        ("--env-file", "coldproof_engine_secrets"),
        ("--gpus=all", "coldproof_gpus"),
        ("--cgroups=disabled", "launcher"),
    ],
)
def test_words_of_the_launcher_are_refused(word: str, says: str) -> None:
    with pytest.raises(Refusal) as refused:
        containerwords.check(["--ipc=host", word])
    assert refused.value.variable == "coldproof_container_args"
    assert says in refused.value.message


def test_other_words_are_taken() -> None:
    containerwords.check(["--ipc=host", "--shm-size", "16g", "--init", "-m4d", "-hvat"])


def test_an_interpreter_without_a_folder_leaves_its_neighbours_to_the_path() -> None:
    vllm = engineprofile.load("vllm")
    inside = engineprofile.filled(vllm, Place("python3", "", "", ""), [], {"port": "1"})
    assert inside[0][:2] == ["vllm", "serve"]
    given = engineprofile.filled(vllm, Place("/opt/v/bin/python", "", "", ""), [], {"port": "1"})
    assert given[0][:2] == ["/opt/v/bin/vllm", "serve"]


@pytest.mark.parametrize(
    ("shell", "default"),
    [("", True), ("trap : TERM; ", False), ("trap '' TERM; ", False)],
)
def test_what_a_signal_does_is_read_from_the_kernel(shell: str, default: bool) -> None:
    words = ["sh", "-c", f"{shell}echo; read line"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.readline()
        found = procfs.takes_default(child.pid, signal.SIGTERM)
        child.kill()
    assert found is default
    assert procfs.takes_default(child.pid, signal.SIGTERM) is False, "it is gone"


def test_an_image_of_another_user_needs_a_user_of_the_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its server could not write to the compile caches, which are root's."""
    program = tmp_path / "bin/podman"
    program.parent.mkdir()
    image = json.dumps([{"Id": "sha256:0", "Config": {"User": "vllm:vllm"}}])
    program.write_text(f"#!/bin/sh\ncat <<'E'\n{image}\nE\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(cgroup, "unified", lambda: True)
    settings = {"launcher": "podman", "container_image": "i:1", "container_gpus": "none"}

    def examine(user: str) -> None:
        made = plans.make(tmp_path, **settings, local={"engine_user": user})
        container.examine(plan.check(made), engineprofile.load("reference"), tmp_path / "state")

    with pytest.raises(Refusal) as refused:
        examine("")
    assert refused.value.variable == "coldproof_engine_user"
    assert "vllm:vllm" in refused.value.message
    examine("nobody")


def test_of_an_images_layers_the_top_one_says_the_version(tmp_path: Path) -> None:
    folders = []
    for layer, version in (("top", "0.24.0"), ("base", "0.20.0")):
        folder = tmp_path / layer
        info = folder / f"vllm-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Name: vllm\nVersion: {version}\n")
        folders.append(str(folder))
    assert engineprofile.versions_in(engineprofile.load("vllm"), folders) == {"vllm": "0.24.0"}
