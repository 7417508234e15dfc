"""Which files are the weights, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from coldproof_agent import engineprofile, makemodel, weights
from coldproof_agent.errors import Refusal


@pytest.fixture
def small(tmp_path: Path) -> Path:
    makemodel.make(str(tmp_path / "model"), 2)
    return tmp_path / "model"


def refusal(path: Path) -> Refusal:
    with pytest.raises(Refusal) as refused:
        weights.describe(str(path), weights.find(str(path)))
    assert refused.value.variable == "coldproof_tiers"
    assert str(path) in refused.value.message
    return refused.value


def test_the_index_names_the_weights(small: Path) -> None:
    (small / "consolidated.safetensors").write_bytes(b"\2\0\0\0\0\0\0\0{}")
    assert [Path(one.path).name for one in weights.find(str(small))] == [
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
    ]


def test_without_an_index_all_top_level_safetensors_count(small: Path) -> None:
    (small / "model.safetensors.index.json").unlink()
    (small / "deeper").mkdir()
    shutil.copy(small / "model-00001-of-00002.safetensors", small / "deeper/x.safetensors")
    assert len(weights.find(str(small))) == 2


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path).code == "weights_missing"
    assert refusal(tmp_path / "nowhere").code == "weights_missing"


def test_an_unfinished_download_is_refused(small: Path) -> None:
    (small / "abc.incomplete").touch()
    assert refusal(small).code == "weights_incomplete"


def test_a_missing_shard_is_named(small: Path) -> None:
    (small / "model-00002-of-00002.safetensors").unlink()
    assert "model-00002-of-00002" in refusal(small).message


def test_a_damaged_shard_is_named(small: Path) -> None:
    (small / "model-00002-of-00002.safetensors").write_bytes(b"\xff" * 100)
    assert refusal(small).code == "weights_damaged"


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"weight_map": 3}', '{"weight_map": {"a": "../b.safetensors"}}']
)
def test_a_bad_index_is_named(small: Path, text: str) -> None:
    (small / "model.safetensors.index.json").write_text(text)
    assert refusal(small).code == "weights_index"


def test_an_index_of_another_format_is_passed_by(small: Path) -> None:
    other = {"weight_map": {"a": "pytorch_model-00001-of-00002.bin"}}
    (small / "pytorch_model.bin.index.json").write_text(json.dumps(other))
    assert len(weights.find(str(small))) == 2


def test_an_empty_shard_is_named(small: Path) -> None:
    (small / "model-00002-of-00002.safetensors").write_bytes(b"")
    assert "0 bytes" in refusal(small).message


def test_the_manifest_tells_two_models_apart(small: Path, tmp_path: Path) -> None:
    before = weights.manifest(weights.find(str(small)))
    makemodel.make(str(tmp_path / "other"), 3)
    assert weights.manifest(weights.find(str(tmp_path / "other"))) != before
    shutil.copytree(small, tmp_path / "copy")
    assert weights.manifest(weights.find(str(tmp_path / "copy"))) == before


def test_a_model_is_written_once(small: Path) -> None:
    before = (small / "model-00001-of-00002.safetensors").stat().st_mtime_ns
    assert makemodel.make(str(small), 2)["written"] is False
    assert (small / "model-00001-of-00002.safetensors").stat().st_mtime_ns == before
    index = json.loads((small / "model.safetensors.index.json").read_text())
    assert len(set(index["weight_map"].values())) == 2


@pytest.mark.parametrize("engine", ["vllm", "vllm-module"])
def test_two_sets_of_which_the_engine_chooses_are_refused(small: Path, engine: str) -> None:
    data = engineprofile.load(engine).data
    weights.one_set(str(small), data, [])
    (small / "consolidated.safetensors").write_bytes(b"\2\0\0\0\0\0\0\0{}")
    with pytest.raises(Refusal) as refused:
        weights.one_set(str(small), data, ["--load-format", "mistral"])
    assert refused.value.variable == "coldproof_engine_args"
    assert "consolidated.safetensors" in refused.value.message
    assert "--load-format safetensors" in refused.value.message
    weights.one_set(str(small), data, ["--load_format=safetensors"])
    weights.one_set(str(small), engineprofile.load("sglang").data, [])
    for one in small.glob("model-*"):
        one.unlink()
    weights.one_set(str(small), data, [])
