#!/usr/bin/python
# Copyright (c) 2026, The coldproof maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documents the action plugin of the same name: nothing but the node's shell runs on a node."""

from __future__ import annotations

DOCUMENTATION = """
module: look
short_description: Looks where the probe agent on a node stands
version_added: 0.1.0
description:
  - Has the node's shell print the boot, the agent's entry in C(/proc) and its status, of which it
    reads 4 KiB at most, and returns what they say. No Python is started on the node, because that
    would read 20 MB through the page cache that is being measured.
  - While the live view of C(coldproof run) streams the same answer, a task with O(follow) looks
    there between its first look and its last, instead of at the node.
  - A node that is reached and gives no answer is no failure. RV(boot_id) is empty then.
  - For the roles of this collection.
author: The coldproof maintainers (!UNKNOWN)
options:
  state_dir:
    description: The agent's state folder on the node. A leading C(~/) is the home of its user.
    type: str
    required: true
  campaign:
    description: Name of the campaign.
    type: str
    required: true
  directory:
    description: The campaign's folder on the controller, where turns are noted. With O(follow).
    type: path
  follow:
    description:
      - The agent that is followed, as C(pid), C(boot_id) (the boot on which it went on, or empty)
        and C(limit_s) (how long it is followed, in seconds), C(turn), the tier whose turn it
        was given, if it was, and C(turns), the tiers whose turn it may ask for yet.
      - With it, an agent that is not complete is a failure with RV(outcome), which a rescue sees,
        and so is a node that cannot be reached.
    type: dict
  turn:
    description:
      - Gives an agent that asks for one its turn on a shared tier, as C(tier) and C(concurrency),
        the number of nodes that may measure it at once. Nodes that were lost in a turn, and may be
        at work in it yet, are added.
    type: dict
  stop:
    description:
      - Asks an agent that is at work for the campaign to stop before its next prime run or pair.
    type: bool
    default: false
"""

EXAMPLES = """
- name: Wait until the agent has ended
  coldproof.fleet.look:
    state_dir: /var/lib/coldproof
    campaign: 20261123T215900Z-0123456789ab
  register: __seen
  until: __seen is not unreachable and __seen.boot_id and not __seen.alive
"""

RETURN = """
boot_id:
  description: The node's boot. Empty if it gave no answer; RV(stderr) may say why.
  returned: always
  type: str
held:
  description: Whether the node holds a folder of the campaign.
  returned: always
  type: bool
asked:
  description: Whether the agent was asked to stop just now.
  returned: always
  type: bool
status:
  description: The agent's status (V(coldproof.status/1)). None if there is none that is usable.
  returned: always
  type: dict
wrong:
  description: The field of the status that is missing or of the wrong type, if one is.
  returned: always
  type: str
alive:
  description: Whether the agent that wrote the status lives.
  returned: always
  type: bool
ended:
  description: Whether to look no more.
  returned: with O(follow)
  type: bool
reboot:
  description: Whether the agent asks for a reboot.
  returned: with O(follow)
  type: bool
turn:
  description: The tier whose turn the agent asks for; empty if it asks for none.
  returned: with O(follow)
  type: str
outcome:
  description: Why it is not complete, as status, code, message and variable.
  returned: failure
  type: dict
stdout:
  description: What the node printed.
  returned: always
  type: str
stderr:
  description: What it said of errors.
  returned: always
  type: str
"""
