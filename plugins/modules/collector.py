#!/usr/bin/python
# Copyright (c) 2026, The coldproof maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documents the action plugin of the same name: there is nothing to run on a node."""

from __future__ import annotations

DOCUMENTATION = """
module: collector
short_description: Runs a command of the collector on the controller
version_added: 0.1.0
description:
  - Runs C(coldproof) with the Python that runs Ansible, on the controller, as the user who called
    Ansible, whatever the host, its connection and its rights are.
  - For the roles of this collection.
author: The coldproof maintainers (!UNKNOWN)
options:
  argv:
    description: The words after C(coldproof).
    type: list
    elements: str
    required: true
  stdin:
    description: What it reads. A dictionary is given as JSON.
    type: raw
"""

EXAMPLES = """
- name: Write the reports
  coldproof.fleet.collector:
    argv: [report, reports/latest, --print]
"""

RETURN = """
rc:
  description: Exit status.
  returned: always
  type: int
stdout:
  description: What it printed.
  returned: always
  type: str
answer:
  description: What it printed, where that is JSON.
  returned: if the command prints JSON
  type: dict
stderr:
  description: What it said of errors.
  returned: always
  type: str
"""
