#!/usr/bin/python
# Copyright (c) 2026, The coldproof maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hands files to the probe agent on a node, calls it, and returns its answer."""

from __future__ import annotations

DOCUMENTATION = """
module: agent
short_description: Calls the probe agent on a node
version_added: 0.1.0
description:
  - Runs one command of the agent and returns its answer, in one task and one connection.
  - With O(state_dir) and O(files), puts the agent and the files there first; without, the agent is
    run from a temporary file and leaves nothing behind.
  - A node that cannot be reached is a failure with RV(outcome), which a rescue sees.
  - For the roles of this collection.
author: The coldproof maintainers (!UNKNOWN)
options:
  archive:
    description: The agent's archive on the controller. Left out, the one in O(state_dir) is run.
    type: path
  content:
    description: The archive itself, by zlib and base64. The action plugin sets it from O(archive).
    type: str
  state_dir:
    description: The agent's state folder on the node. A leading C(~) is the home of its user.
    type: str
    required: true
  files:
    description: Files for O(state_dir), content by name, of mode 0600. They may hold secrets.
    type: dict
    default: {}
  deploy:
    description: Puts the archive and O(files) into O(state_dir).
    type: bool
    default: false
  argv:
    description: The command and its words. C(--state) is added.
    type: list
    elements: str
    required: true
  known:
    description: Refusals that are known already. With any, the node is not touched, and refused.
    type: list
    elements: dict
    default: []
  renamed:
    description: Names of variables that the agent knows, and what they are called here.
    type: dict
    default: {}
attributes:
  check_mode:
    description: Runs in check mode, and changes nothing then.
    details: Nothing is deployed; that the command only looks is for the caller to see to.
    support: partial
"""

EXAMPLES = """
- name: See what keeps a plan from being carried out
  coldproof.fleet.agent:
    archive: /home/me/.cache/coldproof/coldproof-agent-0123456789ab.pyz
    state_dir: ~/.local/state/coldproof
    argv: [preflight, --plan-b64, "{{ plan | to_json | b64encode }}"]
"""

RETURN = """
answer:
  description: What the agent printed.
  returned: success
  type: dict
folder:
  description: The state folder, absolute.
  returned: always
  type: str
deployed:
  description: Names of the files that were not there as they are now.
  returned: always
  type: list
  elements: str
outcome:
  description: Why not, as status, code, message and variable, as campaign.json keeps it.
  returned: failure
  type: dict
"""

import base64  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
import zlib  # noqa: E402

from ansible.module_utils.basic import AnsibleModule  # noqa: E402

ARCHIVE = "coldproof-agent.pyz"


def main():
    """Runs the module."""
    module = AnsibleModule(
        argument_spec={
            "archive": {"type": "path"},
            "content": {"type": "str", "no_log": True},
            "state_dir": {"type": "str", "required": True},
            "files": {"type": "dict", "default": {}, "no_log": True},
            "deploy": {"type": "bool", "default": False},
            "argv": {"type": "list", "elements": "str", "required": True},
            "known": {"type": "list", "elements": "dict", "default": []},
            "renamed": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    folder = os.path.abspath(os.path.expanduser(module.params["state_dir"]))
    deployed = []
    content = module.params["content"]
    archive = os.path.join(folder, ARCHIVE)
    try:
        if module.params["deploy"]:
            deployed = deploy(folder, content, module.params["files"])
        elif content:
            archive = os.path.join(module.tmpdir, ARCHIVE)
            put(archive, unpacked(content), 0o700)
    except OSError as error:
        reason = f"{error.filename}: {error.strerror}"
        fail(module, "failed", {"code": "os_error", "message": reason}, folder, deployed)
    answer = call(module, archive, folder, deployed)
    module.exit_json(changed=bool(deployed), answer=answer, folder=folder, deployed=deployed)


def deploy(folder, content, files):
    """Writes what differs, each file atomically. Returns the names that were written."""
    os.makedirs(folder, 0o755, exist_ok=True)
    wanted = [(ARCHIVE, unpacked(content), 0o755)] if content else []
    wanted += [(name, text.encode(), 0o600) for name, text in sorted(files.items())]
    return [name for name, data, mode in wanted if put(os.path.join(folder, name), data, mode)]


def unpacked(content):
    """Returns the archive's bytes."""
    return zlib.decompress(base64.b64decode(content))


def put(path, data, mode):
    """Writes a file unless it holds this already. Returns whether it was written."""
    try:
        with open(path, "rb") as there:
            if there.read() == data:
                return False
    except FileNotFoundError:
        pass
    # mkstemp makes it 0600, so that nobody reads a secret meanwhile.
    descriptor, beside = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".coldproof.")
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    os.chmod(beside, mode)
    os.rename(beside, path)
    return True


def call(module, archive, folder, deployed):
    """Runs the agent. Returns its answer; fails with the refusals in it, or with its last line."""
    argv = [sys.executable, archive] + module.params["argv"] + ["--state", folder]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    said = done.stderr.decode("utf-8", "replace").strip().splitlines()
    try:
        answer = json.loads(done.stdout.decode("utf-8", "replace"))
    except ValueError:
        reason = said[-1] if said else f"it ended with {done.returncode}, no answer"
        fail(module, "failed", {"code": "agent_failed", "message": reason}, folder, deployed)
    if answer.get("refusals"):
        refusals = renamed(answer["refusals"], module.params["renamed"])
        fail(module, "refused", joined(refusals), folder, deployed)
    return answer


def renamed(refusals, names):
    """Returns refusals with other names of variables, in their messages too."""
    text = json.dumps(refusals)
    for name, other in names.items():
        text = text.replace(name, other)
    return json.loads(text)


def joined(refusals):
    """Returns several refusals as one: the first one's code, all messages."""
    variables = [one["variable"] for one in refusals if one.get("variable")]
    return {
        "code": refusals[0]["code"],
        "message": "; ".join(one["message"] for one in refusals),
        "variable": variables[0] if variables else "",
    }


def fail(module, status, reason, folder, deployed):
    """Ends the module with an outcome."""
    outcome = dict({"variable": ""}, status=status, **reason)
    module.fail_json(
        msg=outcome["message"],
        outcome=outcome,
        changed=bool(deployed),
        folder=folder,
        deployed=deployed,
    )


if __name__ == "__main__":
    main()
