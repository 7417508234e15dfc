"""A connection to a node by paramiko, as OpenSSH would make it.

What the configuration files and the words of the inventory mean together is asked of OpenSSH
itself (``ssh -G``): Host and Match blocks, Include, every -o. A jump host is reached by ``ssh -W``,
which is how OpenSSH does it. Host keys are held against known_hosts, whatever the configuration
says of StrictHostKeyChecking: a node that is not known is not streamed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shlex
import socket
import subprocess
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import paramiko
from paramiko.hostkeys import InvalidHostKey

TIMEOUT_S = 20.0
# paramiko would wake ten times a second for each connection, to look whether it was closed.
WAKE_S = 60.0
# It would write tracebacks over the table; what is to be said of an error is raised.
logging.getLogger("paramiko").setLevel(logging.CRITICAL + 1)
REFUSALS = (paramiko.BadHostKeyException, paramiko.AuthenticationException)
TOKENS = re.compile(r"%([%hnpr])")


class UnreachableError(Exception):
    """A node that cannot be reached this way; the message says why, in one line.

    Attributes:
        refused: it is there, and one of the two does not take the other for who it is.
    """

    def __init__(self, message: str, *, refused: bool = False) -> None:
        super().__init__(message)
        self.refused = refused


class Connection:
    """One connection, and the process that is its way through a jump host, if it has one."""

    def __init__(self, words: Sequence[str], host: str) -> None:
        """Connect and authenticate. Raises UnreachableError."""
        self._proxy: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._client = paramiko.SSHClient()
        self._client.set_missing_host_key_policy(paramiko.RejectPolicy())
        try:
            self._connect(settings(words, host), config_of(words), host)
        except (OSError, EOFError, paramiko.SSHException) as error:
            self.close()
            raise UnreachableError(_said(error), refused=isinstance(error, REFUSALS)) from error
        except BaseException:
            self.close()
            raise

    def run(self, command: str) -> paramiko.Channel:
        """Start a command and return its channel. Raises OSError or SSHException."""
        transport = self._client.get_transport()
        if transport is None:
            raise EOFError("the connection is closed")
        channel = transport.open_session(timeout=TIMEOUT_S)
        channel.exec_command(command)
        return channel

    def close(self) -> None:
        """Close it at once: the command's channel ends, and the jump's process."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
        self._client.close()
        if self._socket is not None:
            self._socket.close()
        if self._proxy is not None:
            self._proxy.terminate()
            self._proxy.wait()

    def _connect(self, found: dict[str, list[str]], config: list[str], host: str) -> None:
        name, port = found["hostname"][0], int(found["port"][0])
        user = found["user"][0]
        alias = found.get("hostkeyalias", [""])[0]
        known = known_keys(tuple(_files(found, "userknownhostsfile", "globalknownhostsfile")))
        # An alias stands in known_hosts as it is; a name with its port, unless that is 22.
        called = alias or (name if port == 22 else f"[{name}]:{port}")
        keys = known.lookup(called)
        if not keys:
            message = f"its host key ({called}) is not in known_hosts"
            raise UnreachableError(message, refused=True)
        for kind, key in keys.items():
            self._client.get_host_keys().add(called, kind, key)
        command = proxy_command(found, config, host)
        self._socket = (
            self._by(command)
            if command
            else socket.create_connection((name, port), timeout=TIMEOUT_S)
        )
        self._client.connect(
            alias or name,
            22 if alias else port,
            user,
            key_filename=[  # type: ignore[arg-type]  # it takes several
                path for path in _files(found, "identityfile") if Path(path).is_file()
            ],
            allow_agent=found.get("identitiesonly") != ["yes"],
            look_for_keys=False,
            sock=self._socket,
            timeout=TIMEOUT_S,
            banner_timeout=TIMEOUT_S,
            auth_timeout=TIMEOUT_S,
        )
        self._socket.settimeout(WAKE_S)

    def _by(self, command: str) -> socket.socket:
        """Return a socket to a command that carries the connection, as ProxyCommand does."""
        ours, theirs = socket.socketpair()
        with theirs:
            self._proxy = subprocess.Popen(
                ["/bin/sh", "-c", f"exec {command}"],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        ours.settimeout(TIMEOUT_S)
        return ours


def settings(words: Sequence[str], host: str) -> dict[str, list[str]]:
    """Return what OpenSSH would do for `host`: values by lower-case keyword.

    Raises UnreachableError: it does not take the words, or is not there.
    """
    try:
        done = subprocess.run(
            ["ssh", "-G", *words, "--", host],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnreachableError(f"ssh -G: {error}") from error
    if done.returncode:
        raise UnreachableError(f"ssh -G: {(done.stderr.strip().splitlines() or ['failed'])[-1]}")
    found: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        keyword, _, value = line.partition(" ")
        found.setdefault(keyword.lower(), []).append(value)
    return found


def config_of(words: Sequence[str]) -> list[str]:
    """Return the words that name another configuration file: the jump host's ssh gets them too."""
    kept: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "-F":
            kept = ["-F", next(rest, "none")]
        elif word.startswith("-F"):
            kept = ["-F", word[2:]]
    return kept


def proxy_command(found: dict[str, list[str]], config: Sequence[str], host: str) -> str:
    """Return the shell command that carries the connection; empty where it is direct."""
    name, port = found["hostname"][0], found["port"][0]
    jumps = found.get("proxyjump", ["none"])[0]
    if jumps != "none":
        *before, last = jumps.split(",")
        way = ["-J", ",".join(before)] if before else []
        target = last if last.startswith("ssh://") else f"ssh://{last}"
        through = f"[{name}]:{port}"
        return shlex.join(
            ["ssh", *config, "-o", "BatchMode=yes", *way, "-W", through, "--", target]
        )
    command = found.get("proxycommand", ["none"])[0]
    if command == "none":
        return ""
    values = {"%": "%", "h": name, "n": host, "p": port, "r": found["user"][0]}
    return TOKENS.sub(lambda token: values[token[1]], command)


def known_keys(files: tuple[str, ...]) -> paramiko.HostKeys:
    """Return the host keys in these files, as they are now.

    Skipped are files that are not there, lines that paramiko cannot read, those of a certificate
    authority, and keys that are revoked anywhere in them.
    """
    return _read_keys(tuple((path, _changed(path)) for path in files))


def _changed(path: str) -> int:
    try:
        return Path(path).stat().st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=64)
def _read_keys(files: tuple[tuple[str, int], ...]) -> paramiko.HostKeys:
    keys, revoked = paramiko.HostKeys(), set()
    entries = []
    for path, _ns in files:
        try:
            lines = Path(path).read_text("utf-8", "replace").splitlines()
        except OSError:
            continue
        for number, line in enumerate(map(str.strip, lines), 1):
            marker, _, rest = line.partition(" ") if line.startswith("@") else ("", "", line)
            try:
                entry = paramiko.hostkeys.HostKeyEntry.from_line(rest.strip(), number)
            except (ValueError, LookupError, paramiko.SSHException, InvalidHostKey):
                continue
            if entry is None or entry.key is None or entry.hostnames is None:
                continue
            if marker == "@revoked":
                revoked.add(entry.key.get_base64())
            elif not marker:
                entries.append(entry)
    for entry in entries:
        if entry.key.get_base64() not in revoked:
            for name in entry.hostnames:
                keys.add(name, entry.key.get_name(), entry.key)
    return keys


def _files(found: dict[str, list[str]], *keywords: str) -> Iterator[str]:
    for keyword in keywords:
        for line in found.get(keyword, []):
            # A keyword that may have several files has them on one line; identityfile has not.
            for path in [line] if keyword == "identityfile" else line.split():
                yield os.path.expanduser(path)


def _said(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:300]
