#!/usr/bin/python
# Copyright (c) 2026, The coldproof maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documents the action plugin of the same name: nothing is run on a node but a transfer."""

from __future__ import annotations

DOCUMENTATION = """
module: results
short_description: Fetches the results that the agent packed
version_added: 0.1.0
description:
  - Copies the packed results from the state folder of a node to the controller, and holds them
    against the checksum that the agent gave.
  - A node that cannot be reached is a failure with RV(outcome), which a rescue sees.
  - For the roles of this collection.
author: The coldproof maintainers (!UNKNOWN)
options:
  folder:
    description: The agent's state folder on the node, absolute.
    type: str
    required: true
  sha256:
    description: The checksum, as the agent gave it.
    type: str
    required: true
  dest:
    description: Where to put it on the controller.
    type: path
    required: true
"""

EXAMPLES = """
- name: Fetch the results
  coldproof.fleet.results:
    folder: "{{ __packed.folder }}"
    sha256: "{{ __packed.answer.sha256 }}"
    dest: reports/latest/incoming/gpu-01.tar
"""

RETURN = """
dest:
  description: Where it lies.
  returned: success
  type: str
outcome:
  description: Why not, as status, code, message and variable, as campaign.json keeps it.
  returned: failure
  type: dict
"""
