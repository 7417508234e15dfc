"""The table for pandas, the recipes of docs/pandas.md as they stand there, and the schemas."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from coldproof.cli import main
from coldproof.known_schemas import NAMES

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "reports/example"
TABLE, LINES, SCHEMA = re.findall(
    r"```python\n(.*?)```", (ROOT / "docs/pandas.md").read_text("utf-8"), re.DOTALL
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that holds the example and its table, as the recipes expect it."""
    shutil.copytree(EXAMPLE, tmp_path, dirs_exist_ok=True)
    out = tmp_path / "runs.parquet"
    assert main(["export", str(EXAMPLE), "--format", "parquet", "--out", str(out)]) == 0
    monkeypatch.chdir(tmp_path)
    return tmp_path


def execute(recipe: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(compile(recipe, "docs/pandas.md", "exec"), names)
    return names


def test_the_recipe_finds_what_the_report_says(here: Path) -> None:
    names = execute(TABLE)
    assert len(names["runs"]) == 20
    starts = names["starts"].reset_index()
    cold = starts[(starts["variant"] == "default") & (starts["mode"] == "cold")].iloc[0]
    assert (cold["count"], cold["median"], cold["min"], cold["max"]) == (3, 54.414, 52.987, 55.42)
    effect = names["effect"].loc[("h100-01", "default", "eager")]
    assert effect["count"] == 3
    assert effect["median"] == pytest.approx(18.745)
    weights = names["medians"].loc[("h100-01", "default", "default", "cold", "weights")]
    assert f"{weights:.2f}" == "9.43"
    assert set(names["witnesses"].iloc[0]) == {"cachestat", "mincore"}


def test_a_context_length_that_is_none_is_no_value(here: Path) -> None:
    node = here / "nodes/h100-01"
    text = (node / "storage_load_bench.csv").read_text("utf-8")
    (node / "storage_load_bench.csv").write_text(text.replace(",4096,", f",{'9' * 20},"), "utf-8")
    (node / "runs.jsonl").unlink()
    out = here / "odd.parquet"
    assert main(["export", str(here), "--format", "parquet", "--out", str(out)]) == 0
    table = pd.read_parquet(out)
    assert len(table) > 0
    assert table["max_model_len"].isna().all()


def test_the_recipe_for_lines_reads_them(here: Path) -> None:
    names = execute(LINES)
    assert (names["edges"]["ready"] == names["runs"].set_index("run_id")["load_s"]).all()


def test_the_recipe_for_validating_finds_what_is_wrong(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "collector"))
    recipe = SCHEMA.replace('"coldproof", ', f'"{sys.executable}", "-m", "coldproof", ')
    assert execute(recipe)["wrong"] == []
    path = here / "nodes/h100-01/runs.jsonl"
    text = path.read_text("utf-8")
    path.write_text(text.replace('"mode":"cold"', '"mode":"tepid"', 1), "utf-8")
    [wrong] = execute(recipe)["wrong"]
    assert wrong.startswith("nodes/h100-01/runs.jsonl:4: $.mode: 'tepid'")


def test_only_proven_starts_are_called_so_and_refuted_ones_have_no_time(
    lab: Any, tmp_path: Path
) -> None:
    lab.campaign()
    records = [
        lab.record(1, "cold", 1, 10.0),
        lab.record(2, "cold", 2, 11.0, state="unproven"),
        lab.record(3, "cold", 3, 12.0, state="refuted", flags=["=x"]),
        lab.record(4, "cold", 4, None, weights={"bytes": True}, storage=[1]),
    ]
    del records[1]["checksum"]
    records[1]["reasons"] = ["a\ud800b"]
    lab.put("gpu-01", "runs.jsonl", "".join(json.dumps(one) + "\n" for one in records))
    out = tmp_path / "runs.parquet"
    words = ["export", str(lab.folder), "--format", "parquet", "--out", str(out)]
    assert main(words) == 0
    runs = pd.read_parquet(out)
    assert runs["proven"].tolist() == [True, False, False, False]
    assert runs["load_s"].fillna(-1).tolist() == [10.0, 11.0, -1, -1]
    assert runs["reasons"].map(list).tolist() == [[], ["a?b"], [], []]
    assert runs["weights_bytes"].fillna(-1).tolist() == [1 << 30] * 3 + [-1]
    assert json.loads(runs["record"][2])["flags"] == ["=x"]
    first = out.read_bytes()
    assert main(words) == 0
    assert out.read_bytes() == first


def test_an_empty_campaign_is_a_table_too(lab: Any, tmp_path: Path) -> None:
    lab.campaign()
    out = tmp_path / "runs.parquet"
    assert main(["export", str(lab.folder), "--format", "parquet", "--out", str(out)]) == 0
    assert pd.read_parquet(out).empty


def test_without_pyarrow_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    out = str(tmp_path / "runs.parquet")
    assert main(["export", str(EXAMPLE), "--format", "parquet", "--out", out]) == 2
    assert "pip install 'coldproof[parquet]'" in capsys.readouterr().err


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_is_printed_as_it_is(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / f"schemas/{name}.schema.json").read_text("utf-8")
    assert main(["schema", name]) == 0
    assert capsys.readouterr().out == text
    assert main(["schema", name, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(text)
