#!/usr/bin/python
# Copyright (c) 2026, The coldproof maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documents the action plugin of the same name: there is nothing to run on a node."""

from __future__ import annotations

DOCUMENTATION = """
module: settings
short_description: Checks the variables of coldproof and returns the node's plan
version_added: 0.1.0
description:
  - Holds the C(coldproof_*) variables of a node against the argument specs of role C(coldproof) and
    the rules that the controller can judge, before anything is touched.
  - What is wrong is a failure with RV(outcome), which a rescue sees.
  - For the roles of this collection.
author: The coldproof maintainers (!UNKNOWN)
options:
  only_names:
    description: Refuses names that do not exist, and nothing else.
    type: bool
    default: false
"""

EXAMPLES = """
- name: Check the variables
  coldproof.fleet.settings:
  register: __asked
"""

RETURN = """
plan:
  description: The node's plan (V(coldproof.plan/1)) without the campaign's name.
  returned: success, without O(only_names)
  type: dict
digest:
  description: SHA-256 of the plan's settings, by which nodes that measure the same are told.
  returned: success, without O(only_names)
  type: str
outcome:
  description: Why not, as status, code, message and variable, as campaign.json keeps it.
  returned: failure
  type: dict
"""
