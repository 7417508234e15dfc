"""Files as an agent writes them, made small and exact."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

CAMPAIGN = "20261123T215900Z-a3bc44ca9e29"
HEADER = "run_id,mode,model,max_model_len,load_s,gpu_mem_used_mb,notes"


def canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def sign(record: dict[str, Any]) -> dict[str, Any]:
    content = {name: value for name, value in record.items() if name != "checksum"}
    return {**content, "checksum": hashlib.sha256(canonical(content).encode()).hexdigest()}


class Lab:
    """A folder of campaigns, and makers of everything that lies in one."""

    header = HEADER
    campaign_id = CAMPAIGN

    def __init__(self, root: Path) -> None:
        self.root = root
        self.reports = root / "reports"
        self.folder = self.reports / CAMPAIGN
        self.corpus = Path(__file__).parents[2] / "corpus" / "v1"
        self.schemas = Path(__file__).parents[3] / "schemas"

    def sign(self, record: dict[str, Any]) -> dict[str, Any]:
        return sign(record)

    def record(
        self, seq: int, mode: str, pair: int | None, load_s: float | None, **changes: Any
    ) -> dict[str, Any]:
        node = changes.get("node", "gpu-01")
        weights = {"cold": 0.6, "warm": 0.2}.get(mode, 0.5) * (load_s or 0.0)
        weights = changes.pop("weights_s", weights)
        ready = load_s is not None
        rest = (load_s or 0.0) - weights
        record: dict[str, Any] = {
            "schema": "coldproof.run/1",
            "run_id": f"{CAMPAIGN}.{node}.{seq:04d}",
            "campaign": CAMPAIGN,
            "node": node,
            "seq": seq,
            "tier": "nvme",
            "variant": "default",
            "mode": mode,
            "pair": pair,
            "outcome": "ready" if ready else "timeout",
            "outcome_detail": None,
            "state": {"cold": "proven_cold", "warm": "proven_warm"}.get(mode, "not_applicable"),
            "reasons": [],
            "scope": "weights+engine" if mode == "cold" else None,
            "method": "evict" if mode == "cold" else None,
            "compile": "hit",
            "compile_changed": False,
            "model": "random-1g",
            "max_model_len": 2048,
            "load_s": load_s,
            "elapsed_s": load_s if ready else 600.0,
            "gpu_mem_used_mb": 1024,
            "phases": [
                {"name": "weights", "seconds": weights},
                {"name": "unattributed", "seconds": rest},
            ]
            if ready
            else [],
            "resolution_s": 0.02,
            "concurrency": 1,
            "weights": {"files": 2, "bytes": 1 << 30, "manifest": "a" * 64},
            "engine": {"name": "vllm", "version": "0.24", "argv": ["vllm", "serve"], "env": {}},
            "flags": [],
        }
        return sign({**record, **changes})

    def series(self, node: str = "gpu-01", pairs: int = 3, **changes: Any) -> list[dict[str, Any]]:
        """A prime start, then pairs: cold 10.0, 10.1, ... s and warm 4.0, 4.1, ... s."""
        records = [self.record(1, "prime", None, 30.0, node=node, compile="miss", **changes)]
        for number in range(1, pairs + 1):
            extra = 0.1 * (number - 1)
            for seq, mode, load_s in (
                (2 * number, "cold", 10.0 + extra),
                (2 * number + 1, "warm", 4.0 + extra),
            ):
                value = round(load_s, 3)
                records.append(self.record(seq, mode, number, value, node=node, **changes))
        return records

    def row(self, record: dict[str, Any]) -> str:
        empty = record["load_s"] is None or record["state"] == "refuted"
        notes = (
            f"tier={record['tier']};variant={record['variant']};engine=vllm;"
            f"method={record['method'] or 'none'};scope={record['scope'] or 'none'};"
            f"state={record['state']};compile={record['compile']};outcome={record['outcome']};"
            f"pair={record['pair']}"
        )
        load_s = "" if empty else f"{record['load_s']:.3f}"
        return f"{record['run_id']},{record['mode']},random-1g,2048,{load_s},1024,{notes}"

    def table(self, records: list[dict[str, Any]]) -> str:
        rows = [self.row(record) for record in records if record["mode"] != "prime"]
        return "\n".join([HEADER, *rows]) + "\n"

    def lines(self, records: list[dict[str, Any]]) -> str:
        return "".join(canonical(record) + "\n" for record in records)

    def put(self, node: str, name: str, content: str | bytes) -> Path:
        path = self.folder / "nodes" / node / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def fetch(self, records: list[dict[str, Any]], node: str = "gpu-01") -> None:
        self.put(node, "runs.jsonl", self.lines(records))
        self.put(node, "storage_load_bench.csv", self.table(records))

    def campaign(self, demo: bool = False, **statuses: str | dict[str, Any]) -> None:
        nodes = {
            name.replace("_", "-"): {"status": status} if isinstance(status, str) else status
            for name, status in statuses.items()
        }
        document = json.loads((self.corpus / "campaign.json").read_text())
        nodes = nodes or {"gpu-01": {"status": "complete"}}
        document.update(campaign=CAMPAIGN, demo=demo, nodes=nodes)
        document["settings"]["engine"] = "vllm"
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "campaign.json").write_text(json.dumps(document))

    def report(self) -> str:
        """Report by the command line; return the markdown."""
        from coldproof.cli import main

        assert main(["report", str(self.folder)]) == 0
        return (self.folder / "storage_load_bench.md").read_text()

    def merged(self) -> list[dict[str, str]]:
        text = (self.folder / "storage_load_bench.csv").read_text()
        return list(csv.DictReader(io.StringIO(text)))

    def section(self, report: str, title: str) -> str:
        return report.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]

    def tar(self, files: dict[str, bytes], **options: Any) -> Path:
        path = self.root / "fetched.tar"
        with tarfile.open(path, "w", **options) as archive:
            for name, content in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                info.mtime = 1234.5
                archive.addfile(info, io.BytesIO(content))
        return path


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)
