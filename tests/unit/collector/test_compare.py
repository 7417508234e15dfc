"""`coldproof compare`: what is different, what is not, what may not be compared, and the codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from coldproof.cli import main


class Two:
    """Two campaigns' folders, base and new, and the command over them."""

    def __init__(self, lab: Any) -> None:
        self.lab = lab
        self.base, self.new = lab.root / "base", lab.root / "new"
        for folder in (self.base, self.new):
            folder.mkdir(parents=True)

    def put(self, folder: Path, records: list[dict[str, Any]], node: str = "gpu-01") -> None:
        place = folder / "nodes" / node
        place.mkdir(parents=True, exist_ok=True)
        (place / "runs.jsonl").write_text(self.lab.lines(records))

    def compare(self, *arguments: str) -> tuple[int, list[dict[str, Any]], str]:
        code = main(["compare", str(self.base), str(self.new), *arguments])
        document = json.loads((self.new / "comparison.json").read_text())
        assert document["exit_code"] == code
        return code, document["rows"], (self.new / "comparison.md").read_text()

    def series(
        self, scale: float, node: str = "gpu-01", pairs: int = 3, **changes: Any
    ) -> list[dict[str, Any]]:
        """A series of which every start takes `scale` times as long."""
        records = []
        for record in self.lab.series(node, pairs):
            phases = [{**one, "seconds": one["seconds"] * scale} for one in record["phases"]]
            load_s = round(record["load_s"] * scale, 3)
            records.append(self.lab.sign({**record, "load_s": load_s, "phases": phases, **changes}))
        return records


@pytest.fixture
def two(lab: Any) -> Two:
    return Two(lab)


def verdicts(rows: list[dict[str, Any]]) -> dict[str, str]:
    return {row["mode"]: row["verdict"] for row in rows}


def test_the_same_is_the_same(two: Two) -> None:
    two.put(two.base, two.series(1))
    two.put(two.new, two.series(1))
    code, rows, text = two.compare()
    assert (code, verdicts(rows)) == (0, {"cold": "same", "warm": "same"})
    assert "Nothing is faster, slower or not comparable." in text


@pytest.mark.parametrize(
    ("scale", "code", "cold", "warm"),
    [
        (2.0, 1, "slower", "slower"),
        (0.3, 0, "faster", "faster"),
        (1.3, 1, "slower", "same"),  # warm is 1.2 s longer: over 10 %, under 2 s
        (1.19, 0, "same", "same"),  # cold is 1.9 s longer
    ],
)
def test_different_needs_the_floor(two: Two, scale: float, code: int, cold: str, warm: str) -> None:
    two.put(two.base, two.series(1))
    two.put(two.new, two.series(scale))
    found, rows, text = two.compare()
    assert (found, verdicts(rows)) == (code, {"cold": cold, "warm": warm})
    if scale == 2.0:
        assert "gpu-01, nvme/default, cold: **slower** by 10.10 s (+100 %)" in text
        row = next(row for row in rows if row["mode"] == "cold")
        assert row["difference_s"] == 10.1
        assert row["base"] == {
            "n": 3, "median_s": 10.1, "low_s": 10.0, "high_s": 10.2, "pairs": 3, "failed": [],
        }  # fmt: skip


def test_ranges_that_overlap_show_no_difference(two: Two) -> None:
    two.put(two.base, two.series(1))
    slower = two.series(2)
    slower[1] = two.lab.record(2, "cold", 1, 10.1)
    two.put(two.new, slower)
    _, rows, text = two.compare()
    assert verdicts(rows)["cold"] == "same"
    assert "no difference shown: the ranges overlap" in text


@pytest.mark.parametrize(
    ("fact", "change", "why"),
    [
        ("engine_version", {"engine": {"name": "vllm", "version": "0.25"}},
         "engine_version: 0.24 in base, 0.25 in new"),
        ("engine", {"engine": {"name": "sglang", "version": "0.24"}}, "engine: vllm in base"),
        ("model", {"model": "other"}, "model: random-1g in base, other in new"),
        ("max_model_len", {"max_model_len": 4096}, "max_model_len: 2048"),
        ("manifest", {"weights": {"manifest": "b" * 64}}, "manifest: aaaa"),
        ("concurrency", {"concurrency": 4}, "concurrency: 1 in base, 4 in new"),
        ("compile", {"compile": "disabled"}, "compile: hit in base, disabled in new"),
        ("kernel", {"host": {"kernel": "6.12"}}, "kernel: 6.1 in base, 6.12 in new"),
        ("arguments", {"engine": {"name": "vllm", "version": "0.24",
                                  "argv": ["vllm", "serve", "--enforce-eager"]}},
         "arguments only in new: --enforce-eager"),
    ],
)  # fmt: skip
def test_other_circumstances_are_not_comparable_unless_asked_for(
    two: Two, fact: str, change: dict[str, Any], why: str
) -> None:
    two.put(two.base, two.series(1, host={"kernel": "6.1"}))
    two.put(two.new, two.series(3, **{"host": {"kernel": "6.1"}, **change}))
    code, rows, text = two.compare()
    assert (code, set(verdicts(rows).values())) == (3, {"not comparable"})
    assert why in rows[0]["why"]
    assert "not comparable" in text
    code, rows, text = two.compare("--across", fact)
    assert (code, verdicts(rows)["cold"]) == (1, "slower")
    assert f"Allowed to differ: {fact}." in text.replace("&#95;", "_")


def test_fresh_compile_caches_of_two_campaigns_are_alike(two: Two) -> None:
    later = "20261124T000000Z-0123456789ab"
    for folder, campaign, scale in ((two.base, two.lab.campaign_id, 1), (two.new, later, 3)):
        place = f"/var/lib/coldproof/campaigns/{campaign}/compile-cache/vllm_cache_root"
        engine = {"name": "vllm", "version": "0.24", "env": {"VLLM_CACHE_ROOT": place}}
        records = two.series(scale, engine=engine)
        named = [
            two.lab.sign({**one, "run_id": one["run_id"].replace(two.lab.campaign_id, campaign)})
            for one in records
        ]
        two.put(folder, named)
    code, rows, _ = two.compare()
    assert (code, verdicts(rows)["cold"]) == (1, "slower"), rows[0]["why"]


@pytest.mark.parametrize(("field", "value"), [("scope", "weights"), ("method", "reboot")])
def test_scope_and_method_are_those_of_cold_starts(two: Two, field: str, value: str) -> None:
    two.put(two.base, two.series(1))
    cold_only = [
        two.lab.sign({**record, field: value}) if record["mode"] == "cold" else record
        for record in two.series(2)
    ]
    two.put(two.new, cold_only)
    code, rows, _ = two.compare()
    assert (code, verdicts(rows)) == (1, {"cold": "not comparable", "warm": "slower"})


def test_two_pairs_are_insufficient(two: Two) -> None:
    two.put(two.base, two.series(1))
    two.put(two.new, two.series(3, pairs=2))
    code, rows, _ = two.compare()
    assert (code, set(verdicts(rows).values())) == (3, {"insufficient evidence"})
    assert rows[0]["why"] == "3 and 2 proven pairs of 3 in base and new"


def test_a_start_that_failed_only_now_is_slower_and_named(two: Two) -> None:
    two.put(two.base, two.series(1))
    failed = two.lab.record(8, "cold", 4, None, state="unproven")
    two.put(two.new, [*two.series(1), failed])
    code, rows, text = two.compare()
    assert (code, verdicts(rows)) == (1, {"cold": "slower", "warm": "same"})
    assert f"{failed['run_id']} (timeout)" in text
    assert rows[0]["new"]["failed"] == [
        {"run_id": failed["run_id"], "outcome": "timeout", "elapsed_s": 600.0}
    ]


def test_nodes_and_rows_of_one_side_are_rows(two: Two) -> None:
    two.put(two.base, two.series(1))
    two.put(two.base, two.series(1, node="gpu-02"), "gpu-02")
    two.put(two.new, two.series(1))
    (two.new / "nodes/gpu-03").mkdir()
    code, rows, _ = two.compare()
    assert code == 3
    told = {(row["node"], row["mode"]): (row["verdict"], row["why"]) for row in rows}
    assert told["gpu-02", "cold"] == (
        "not comparable", "no proven cold start in the new campaign",
    )  # fmt: skip
    assert told["gpu-03", "cold"] == (
        "not comparable", "base: not in it; new: unlisted: no usable run",
    )  # fmt: skip


def test_base_rows_under_other_circumstances_are_not_lost(two: Two) -> None:
    other = [
        two.lab.record(10 + seq, mode, pair, load, scope=scope)
        for seq, mode, pair, load, scope in [(0, "cold", 9, 50.0, "weights")]
    ]
    two.put(two.base, [*two.series(1), *other])
    two.put(two.new, two.series(1))
    code, rows, _ = two.compare()
    assert code == 3
    assert [row["why"] for row in rows if row["verdict"] == "not comparable"] == [
        "in the new campaign only under other circumstances"
    ]


def test_unknown_fact_and_folder_are_named(two: Two, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(two.base), str(two.new), "--across", "mood"]) == 2
    assert "--across mood: no such fact; there are model, " in capsys.readouterr().err
    assert main(["compare", str(two.base), str(two.new)]) == 2
    assert "holds neither campaign.json nor a folder nodes" in capsys.readouterr().err


def test_same_input_gives_the_same_bytes(two: Two) -> None:
    two.put(two.base, two.series(1))
    two.put(two.new, two.series(2))
    two.compare()
    first = [(two.new / name).read_bytes() for name in ("comparison.md", "comparison.json")]
    two.compare()
    assert first == [(two.new / name).read_bytes() for name in ("comparison.md", "comparison.json")]


@pytest.mark.parametrize(
    ("field", "base", "new"),
    [
        ("argv", ["vllm", "--max-num-batched-tokens", "2048"],
         ["vllm", "--max-num-batched-tokens", "8192"]),
        ("env", {"TOKENIZERS_PARALLELISM": "true"}, {"TOKENIZERS_PARALLELISM": "false"}),
    ],
)  # fmt: skip
def test_what_has_a_name_like_a_secrets_is_compared_all_the_same(
    two: Two, field: str, base: Any, new: Any
) -> None:
    engine = {"name": "vllm", "version": "0.24", "argv": ["vllm"], "env": {}}
    two.put(two.base, two.series(1, engine={**engine, field: base}))
    two.put(two.new, two.series(3, engine={**engine, field: new}))
    code, rows, _ = two.compare()
    assert (code, set(verdicts(rows).values())) == (3, {"not comparable"})
    assert ("2048" in rows[0]["why"]) == ("8192" in rows[0]["why"]) == (field == "argv")


def test_of_long_arguments_the_words_that_differ_are_told_and_no_secret(two: Two) -> None:
    engine = {"name": "vllm", "version": "0.24", "env": {}}
    same = ["vllm", "serve", "/models/" + "x" * 200]
    for folder, size, key in ((two.base, "0.8", "sesame"), (two.new, "0.9", "open")):
        argv = [*same, "--gpu-memory-utilization", size, "--api-key", key]
        two.put(folder, two.series(1, engine={**engine, "argv": argv}))
    _, rows, text = two.compare()
    assert rows[0]["why"] == (
        "arguments only in base: --gpu-memory-utilization 0.8 --api-key [redacted], "
        "only in new: --gpu-memory-utilization 0.9 --api-key [redacted]"
    )
    assert "sesame" not in text


@pytest.mark.parametrize(
    ("field", "base", "new", "why"),
    [
        ("argv", ["--tensor-parallel-size", "2", "--pipeline-parallel-size", "1"],
         ["--tensor-parallel-size", "2", "--pipeline-parallel-size", "2"],
         ("arguments only in base: --pipeline-parallel-size 1, "
          "only in new: --pipeline-parallel-size 2")),
        ("argv", ["--a", "2", "--b", "1"], ["--a", "1", "--b", "2"],
         "arguments only in base: --a 2 --b 1, only in new: --a 1 --b 2"),
        ("argv", ["--served", "sesame", "--api-key", "sesame"],
         ["--served", "sesame", "--api-key", "open"],
         "arguments: the same in another order, or hidden values that differ"),
        ("argv", ["--api-key", "-alpha"], ["--api-key", "-beta", "--x"],
         "arguments only in base: --api-key [redacted], only in new: --api-key [redacted] --x"),
        ("argv", ["--hdr", "api-key: alpha"], ["--hdr", "api-key: beta"],
         "arguments: the same in another order, or hidden values that differ"),
        ("env", {"DB_PASSWORD": "correct horse"}, {"DB_PASSWORD": "correct battery", "A": "1"},
         ("environment only in base: DB_PASSWORD=[redacted], "
          "only in new: A=1 DB_PASSWORD=[redacted]")),
    ],
)  # fmt: skip
def test_what_differs_is_told_with_its_option_and_no_secret_without(
    two: Two, field: str, base: Any, new: Any, why: str
) -> None:
    engine = {"name": "vllm", "version": "0.24", "argv": ["vllm"], "env": {}}
    two.put(two.base, two.series(1, engine={**engine, field: base}))
    two.put(two.new, two.series(1, engine={**engine, field: new}))
    assert two.compare()[1][0]["why"] == why


def test_more_failures_than_before_are_slower(two: Two) -> None:
    def failing(*starts: tuple[int, str]) -> list[dict[str, Any]]:
        late = [
            two.lab.record(n, mode, None if mode == "prime" else n, None, state=state)
            for n, mode in starts
            for state in ["not_applicable" if mode == "prime" else "unproven"]
        ]
        return [*two.series(1), *late]

    two.put(two.base, failing((8, "cold")))
    two.put(two.new, failing(*((n, "cold") for n in range(8, 15))))
    code, rows, _ = two.compare()
    assert (code, verdicts(rows)) == (1, {"cold": "slower", "warm": "same"})
    assert "1 of 5 starts failed in base" in rows[0]["why"]
    assert "7 of 11 starts failed in new" in rows[0]["why"]
    assert rows[0]["why"].startswith("a greater part of the starts failed than in base")
    two.put(two.new, [one for one in failing((8, "cold")) if one["mode"] != "prime"])
    assert two.compare()[0] == 0
    assert "failed in base" in two.compare()[1][0]["why"]
    two.put(two.base, failing())
    two.put(two.new, failing((8, "prime")))
    assert verdicts(two.compare()[1]) == {"cold": "slower", "warm": "same"}


def test_every_kernel_of_a_row_counts(two: Two) -> None:
    two.put(two.base, two.series(1, host={"kernel": "6.1"}))
    records = two.series(1, host={"kernel": "6.1"})
    records[1] = two.lab.sign({**records[1], "host": {"kernel": "6.12"}})
    two.put(two.new, records)
    _, rows, _ = two.compare()
    assert "kernel: 6.1 in base, 6.1, 6.12 in new" in rows[0]["why"]
