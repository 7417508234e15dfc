#!/usr/bin/env bash
# Installs the Debian packages that the tests need and that are missing here: real OpenSSH nodes,
# containers, and the tools that residency is compared with. Installs nothing if nothing is missing.
set -euo pipefail

missing=()
need() { # need COMMAND PACKAGE
    PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null || missing+=("$2")
}
need sshd openssh-server
need ssh openssh-client
need vmtouch vmtouch
# Debian moved fincore from util-linux to util-linux-extra in release 12.
need fincore util-linux-extra
need git git
# Servers in containers; the tests of them need root.
if [ "$(id -u)" = 0 ]; then
    need podman podman
    need runc runc
fi

if [ ${#missing[@]} -eq 0 ]; then exit 0; fi
root=()
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null || ! sudo -n true 2>/dev/null; then
        echo "packages: run this as root and try again: apt-get install ${missing[*]}" >&2
        exit 1
    fi
    root=(sudo -n)
fi
echo "packages: installing ${missing[*]}" >&2
"${root[@]}" apt-get update -qq
# No package may start a service on the machine of whoever runs the tests.
"${root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
