"""Nodes whose Python answers what it likes: broken_python.py is what runs there."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

from tests.fleet.nodes import Node

PYTHON = Path(__file__).with_name("broken_python.py")


def with_fault(node: Node, fault: dict[str, Any]) -> None:
    """Gives a node a Python that has a fault."""
    file = node.folder / "fault.json"
    file.write_text(json.dumps(fault), encoding="utf-8")
    python = node.folder / "python"
    words = shlex.join([sys.executable, str(PYTHON), str(file)])
    python.write_text(f"#!/bin/sh\nexec {words}\n", encoding="utf-8")
    python.chmod(0o755)
    node.variables["ansible_python_interpreter"] = str(python)
