"""The bundle for a bug report: what is planted anywhere is nowhere in it, and it still works."""

from __future__ import annotations

import csv
import gzip
import io
import json
import shutil
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

from coldproof.bundle import pack
from coldproof.bundle.rewrite import Rewriter
from coldproof.bundle.secrets import hide
from coldproof.cli import main
from coldproof.files import canonical_json, sha256_text

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "reports/example"
NODE = "canary-gpu-7"
NAMING = frozenset(["node", "hostname", "user", "USER", "model", "path", "tier_paths"])
UUID = "deadbeef-0bad-4ca7-a210-c0ffee123456"
SECRETS = (
    "HF_TOKEN=hf_CANARYabcd1234",
    'and "api_key": "canary with spaces"',
    "and \\\"password\\\": \\\"canaryEscaped\\\"",
    "--hf-token canaryoption",
    "Authorization: Bearer canarybearer0",
    "https://canaryuser:canarypass@canaryhost/canarypath?sig=canarysig",
    "s3://canary-bucket/canary",
    "AKIACANARY0123456789",
    "-----BEGIN OPENSSH PRIVATE KEY-----\ncanaryKEY\n-----END OPENSSH PRIVATE KEY-----",
    "xCaNaRy9Q2w8E4r7T1y5U3i6O0p",
)  # fmt: skip
POINTERS = (
    f"{NODE} a_{NODE}.0004 ({NODE.upper()})",
    "10.98.76.54 fd00:98:76::54 52:54:00:98:76:54",
    f"{UUID} GPU-{UUID} 00112233445566778899aabbccddeeff",
    "canary@canary.example canaryhost canaryhost.canary.internal canary.com:8080",
    "filer.canary:/export/canary on /mnt/canary, in /home/canaryuser/.cache/canary/x.py",
    "canaryuser canary-model /srv/canary-models/canary-model/model-00001-of-00002.safetensors",
    "registry.canary.com/canary/vllm:1",
)
PLANTED = "\n".join([*SECRETS, *POINTERS])
FORBIDDEN = ("canary", "10.98.76.54", "fd00:98", "52:54:00", UUID, "0011223344556677", "c0ffee")


def unpacked(path: Path, into: Path) -> Path:
    with tarfile.open(path) as archive:
        archive.extractall(into, filter="data")
    [folder] = into.iterdir()
    return folder


def renamed(folder: Path) -> None:
    """Give the example's node, host, user, model and paths telling names; records stay whole."""
    (folder / "nodes/h100-01").rename(folder / f"nodes/{NODE}")
    every = {
        "h100-01": NODE,
        '"hostname":"vm"': '"hostname":"canaryhost"',
        '"user":"root"': '"user":"canaryuser"',
        '"USER":"root"': '"USER":"canaryuser"',
        "/srv/models/qwen2-7b-random": "/srv/canary-models/canary-model",
        "qwen2-7b-random": "canary-model",
        "GPU-097842e0-8e6c-d305-17d5-98bd1ac7d3d0": f"GPU-{UUID}",
    }
    for path in folder.rglob("*"):
        if path.is_file():
            text = path.read_text("utf-8")
            for old, new in every.items():
                text = text.replace(old, new)
            if path.suffix == ".jsonl":
                text = "".join(map(signed, text.splitlines()))
            path.write_text(text, "utf-8")


def signed(line: str) -> str:
    record = json.loads(line)
    record.pop("checksum")
    return canonical_json({**record, "checksum": sha256_text(canonical_json(record))}) + "\n"


def planted(value: Any, spared: frozenset[str]) -> Any:
    """Plant in every text but those of the `spared` fields, and beside every key."""
    if isinstance(value, dict):
        grown = {key: one if key in spared else planted(one, spared) for key, one in value.items()}
        return {**grown, PLANTED: PLANTED, "a key": [PLANTED], "a_secret": "canary"}
    if isinstance(value, list):
        return [*(planted(one, spared) for one in value), PLANTED]
    return f"{value} {PLANTED}" if isinstance(value, str) else value


def plant(folder: Path) -> None:
    """Plant in every file: of one node all fields but those that say its names, of another all."""
    for path in sorted(folder.glob("nodes/*/logs/*"))[2:]:
        path.unlink()
    shutil.copytree(folder / f"nodes/{NODE}", folder / "nodes/canary-gpu-8")
    for path in sorted(folder.rglob("*")):
        spared = NAMING if NODE in path.parts else frozenset()
        text = path.read_text("utf-8") if path.is_file() else ""
        if path.suffix == ".json" and path.name != "campaign.json":
            path.write_text(json.dumps(planted(json.loads(text), spared)))
        elif path.suffix == ".jsonl":
            some = text.splitlines()[2:4]
            lines = [json.dumps(planted(json.loads(line), spared)) for line in some]
            path.write_text("\n".join([*lines, PLANTED, '{"torn": "' + SECRETS[0]]))
        elif path.suffix == ".csv":
            encoded = PLANTED.replace("%", "%25").replace(";", "%3B").replace("=", "%3D")
            encoded = encoded.replace("\n", "%0A")
            rows = [[f"{cell};key={encoded};{encoded}" for cell in row]
                    for row in csv.reader(io.StringIO(text))]  # fmt: skip
            out = io.StringIO()
            csv.writer(out).writerows(rows)
            path.write_text(out.getvalue())
        elif path.suffix == ".log":
            path.write_text(f"{PLANTED}\n{text}\n{PLANTED}")
    document = json.loads((folder / "campaign.json").read_text("utf-8"))
    document["nodes"][NODE]["message"] = PLANTED
    document["command"] = PLANTED
    document["settings"]["engine_env"] = {"UNHEARD_OF": "canary", "VLLM_API_KEY": "canary"}
    document["settings"]["engine_args"] = ["--api-key", "canary1", "canary2", f"--x={PLANTED}"]
    document["settings"]["container_image"] = "canary/vllm:1"
    document["settings"]["tiers"][0]["shared"] = "canary-filer"
    (folder / "campaign.json").write_text(json.dumps(document))


@pytest.fixture
def campaign(tmp_path: Path) -> Path:
    folder = tmp_path / "campaign"
    shutil.copytree(EXAMPLE, folder)
    renamed(folder)
    return folder


@pytest.mark.parametrize("everywhere", [False, True], ids=["names alone", "planted everywhere"])
def test_no_canary_gets_out(
    campaign: Path, tmp_path: Path, everywhere: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    if everywhere:
        plant(campaign)
        (campaign / "canary.txt").write_text(PLANTED)
        (campaign / f"nodes/{NODE}/logs/canaryhost.log").write_text(PLANTED)
        (campaign / f"nodes/{NODE}/canaryhost.pem").write_text(PLANTED)
        (campaign / f"nodes/{NODE}/runs.jsonl.conflict-12345678").write_text(PLANTED)
    out = tmp_path / "b.tar.gz"
    assert main(["bundle", str(campaign), "--out", str(out)]) == 0
    printed = capsys.readouterr().out.replace(str(out), "")
    seen = [gzip.decompress(out.read_bytes()).decode("utf-8").lower(), printed.lower()]
    for word in FORBIDDEN:
        for text in seen:
            at = text.find(word)
            assert at < 0, text[max(0, at - 100) : at + 100]
    assert out.stat().st_mode & 0o777 == 0o600


def test_the_unpacked_bundle_gives_the_same_report(campaign: Path, tmp_path: Path) -> None:
    out = tmp_path / "b.tar.gz"
    assert main(["bundle", str(campaign), "--out", str(out)]) == 0
    folder = unpacked(out, tmp_path / "out")
    for one in (folder, campaign):
        assert main(["report", str(one)]) == 0
    texts = [(one / "storage_load_bench.csv").read_text("utf-8") for one in (folder, campaign)]
    sent, own = ([*csv.DictReader(io.StringIO(text))] for text in texts)
    assert len(sent) == len(own) == 20
    named = {"node", "run_id", "model"}
    assert [{k: v for k, v in row.items() if k not in named} for row in sent] == [
        {k: v for k, v in row.items() if k not in named} for row in own
    ]
    assert {row["node"] for row in sent} == {"node-01"}
    assert "were left out" not in (folder / "storage_load_bench.md").read_text("utf-8")


def test_a_damaged_record_stays_damaged(campaign: Path, tmp_path: Path) -> None:
    path = campaign / f"nodes/{NODE}/runs.jsonl"
    path.write_text(path.read_text("utf-8").replace('"load_s":55.42', '"load_s":5.542'), "utf-8")
    out = tmp_path / "b.tar.gz"
    assert main(["bundle", str(campaign), "--out", str(out)]) == 0
    folder = unpacked(out, tmp_path / "out")
    assert main(["report", str(folder)]) == 0
    assert "does not match the record" in (folder / "storage_load_bench.md").read_text("utf-8")


def test_the_same_campaign_gives_the_same_bytes(
    campaign: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "elsewhere/campaign"
    shutil.copytree(campaign, copy)
    monkeypatch.chdir(tmp_path)
    assert main(["bundle", str(campaign)]) == 0
    assert main(["bundle", str(copy), "--out", "other.tar.gz"]) == 0
    first = Path("coldproof-bundle-campaign.tar.gz").read_bytes()
    assert first == Path("other.tar.gz").read_bytes()


def test_names_are_kept_if_asked_and_secrets_are_not(
    campaign: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = campaign / f"nodes/{NODE}/logs/0001-prime.log"
    log.write_text("\n".join(SECRETS) + "\nat 10.98.76.54 in /srv/x")
    out = tmp_path / "b.tar.gz"
    assert main(["bundle", str(campaign), "--keep-names", "--json", "--out", str(out)]) == 0
    about = json.loads(capsys.readouterr().out)
    assert about["names"] == "kept"
    assert about["hidden"] >= len(SECRETS) - 1
    folder = unpacked(out, tmp_path / "out")
    shown = (folder / f"nodes/{NODE}/logs/0001-prime.log").read_text("utf-8")
    assert shown.endswith("at 10.98.76.54 in /srv/x")
    assert "canaryabcd" not in shown.lower()
    assert "bearer0" not in shown


def test_long_logs_are_cut_between_lines(campaign: Path, tmp_path: Path) -> None:
    lines = [f"{number:07d} token=hf_canarycanary{number:07d}" for number in range(20000)]
    log = campaign / f"nodes/{NODE}/logs/0001-prime.log"
    log.write_text("\n".join(lines))
    out = tmp_path / "b.tar.gz"
    assert main(["bundle", str(campaign), "--out", str(out)]) == 0
    shown = (unpacked(out, tmp_path / "out") / "nodes/node-01/logs/0001-prime.log").read_text()
    assert len(shown) < 300 << 10
    assert "bytes left out by coldproof bundle]" in shown
    assert shown.startswith("0000000 token=***\n")
    assert shown.endswith("0019999 token=***")


def test_links_and_strangers_are_left_out_and_named(
    campaign: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (campaign / f"nodes/{NODE}/agent.log").unlink()
    (campaign / f"nodes/{NODE}/agent.log").symlink_to("/etc/passwd")
    (campaign / "notes.txt").write_text("mine")
    assert main(["bundle", str(campaign), "--out", str(tmp_path / "b.tar.gz"), "--json"]) == 0
    left = {one["name"]: one["reason"] for one in json.loads(capsys.readouterr().out)["left_out"]}
    assert left["nodes/node-01/agent.log"] == "not a readable regular file"
    assert left["another file"] == "not a known file"
    assert "made anew" in left["report.html"]
    assert b"root:" not in gzip.decompress((tmp_path / "b.tar.gz").read_bytes())


@pytest.mark.parametrize(
    "piece",
    ["a.", "a=", "=a", "-", "\\", 'token=\\" ', "-----BEGIN ", "/a", "a@", "a:", "A1b", "0:", "x://",
     "token: [", "A", "canary-gpu-7."],
)  # fmt: skip
def test_no_text_takes_long(piece: str) -> None:
    rewriter = Rewriter(keep_names=False)
    rewriter.learn([NODE], [{"model": "a model"}])
    began = time.process_time()
    shown = rewriter.text(piece * (100_000 // len(piece)))
    assert time.process_time() - began < 10  # one that is quadratic takes hours
    assert "canary" not in shown


@pytest.mark.parametrize(
    "line",
    [
        "max_num_batched_tokens=8192.",
        "'encoder_cudagraph_token_budgets': [], 'x': 1",
        "tokenizer='default', tokenizer_mode=auto",
        "first_token: null",
        "Route: /v1/chat/completions/render, Methods: POST",
        "model.layers.0.self_attn.q_proj Qwen2ForCausalLM CompilationMode.VLLM_COMPILE",
        "20261125T043825Z-1e3b9e09c19e.node-01.0004 coldproof-d24a51e7d38f",
        "9d6aa26ae6f42dc47b477f53b243237e6fec652be3f7448bc4b2e14214e3ea64",
        "VLLM_USE_FLASHINFER_SAMPLER=0 --max-model-len 4096 --enforce-eager",
        "NVIDIA H100 80GB HBM3 6.18.44-fc-v657-gpu nvidia-cublas-cu12==12.8.4.1",
    ],
)
def test_what_is_no_secret_stays(line: str) -> None:
    assert hide(line) == (line, 0)


@pytest.mark.parametrize(
    "line",
    [
        "INFO: password=canary1",
        "ERROR: password: canary1",
        "env: DB_PASSWORD=canary1",
        'msg="password=canary1"',
        'config: {"password": "canary1"}',
        "env: {'WANDB_API_KEY': 'canary1', 'PGPASS': 'canary2'}",
        "non-default args: {'api_key': ['canary1', 'canary2'], 'port': 8123}",
        "Namespace(port=1, api_key=['canary1', \"canary2\"], x=3)",
        "secrets: {'A': 'canary1', 'B': 'canary2'} and on",
        "--verbose --hf-token canary1",
        "ansible_become_pass=canary1 ansible_become_password: canary2",
    ],
)
def test_a_secrets_name_is_found_behind_another_name(line: str) -> None:
    shown, hidden = hide(line)
    assert "canary" not in shown
    assert hidden >= 1
    assert "8123" in shown or "port" not in line or "port=1" in shown


def test_a_nodes_name_is_found_short_and_long() -> None:
    rewriter = Rewriter(keep_names=False)
    rewriter.learn(
        ["canary-1.hpc.acme", "canary-2"],
        [{"hostname": "canary7.corp.acme", "model": "acme-ai/canary-llm"}],
    )
    shown = rewriter.text(
        "canary-1 up; canary-2.hpc.acme down, canary-2.jsonl; canary7, canary-llm of canary-2.0004"
    )
    assert "canary" not in shown
    assert "acme" not in shown
    assert shown.count("node-02") == 3
    assert "node-02.jsonl" in shown
    assert "node-01 up" in shown


def test_a_bundle_is_never_over_its_limit(
    campaign: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack, "TOTAL_LIMIT", 200_000)
    about = pack.bundle(campaign, keep_names=False).about
    assert 100_000 < sum(one["bytes"] for one in about["members"]) <= 200_000
    assert any("bytes in all" in one["reason"] for one in about["left_out"])


def test_not_a_campaign(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundle", str(tmp_path)]) == 2
    assert "give a campaign's folder" in capsys.readouterr().err
