"""With which words and settings ansible-runner has to call a playbook of this collection."""

from __future__ import annotations

import configparser
import contextlib
import os

from coldproof import collection

NO = ("no", "false", "off", "0", "n", "f")


def playbook(name: str) -> str:
    """Return the path of the playbook `name`, such as ``probe``. Raises InputError."""
    return str(collection.root() / "playbooks" / f"{name}.yml")


def environment() -> dict[str, str]:
    """Return what is set for ansible-playbook beside the user's own environment.

    ansible-runner turns host key checking off, reads no ansible.cfg of ours, and puts a callback
    before the configured one, unless told.
    """
    given, root = os.environ, collection.root()
    config = given.get("ANSIBLE_CONFIG", str(root / "ansible.cfg"))
    paths = [str(root / "plugins/callback"), given.get("ANSIBLE_CALLBACK_PLUGINS", "")]
    return {
        "ANSIBLE_CONFIG": config,
        "ANSIBLE_HOST_KEY_CHECKING": given.get("ANSIBLE_HOST_KEY_CHECKING", _checking(config)),
        "ANSIBLE_STDOUT_CALLBACK": given.get("ANSIBLE_STDOUT_CALLBACK", "live"),
        "ANSIBLE_CALLBACK_PLUGINS": os.pathsep.join(filter(None, paths)),
        # Ansible has a terminal of ansible-runner's, whatever ours is.
        "ANSIBLE_NOCOLOR": "1",
    }


def _checking(config: str) -> str:
    """Return whether a configuration has host keys checked; they are unless it plainly says no.

    ansible-runner tells Ansible by the environment not to check them, which outweighs the file.
    """
    # As Ansible reads it (ansible.config.manager); of two places the connection's own holds.
    found = configparser.ConfigParser(
        interpolation=None, strict=False, inline_comment_prefixes=(";",)
    )
    with contextlib.suppress(configparser.Error, UnicodeDecodeError, OSError):
        found.read(config, "utf-8")
    told = "True"
    for section in ("defaults", "ssh_connection"):
        told = found.get(section, "host_key_checking", fallback=told)
    return "False" if told.strip().lower() in NO else "True"
