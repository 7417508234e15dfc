#!/usr/bin/env bash
# Installs the Debian packages that the machines of tests/vm need and that are missing here: QEMU,
# and what builds their disks. Installs nothing if nothing is missing.
set -euo pipefail

missing=()
need() { # need COMMAND PACKAGE
    PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null || missing+=("$2")
}
need qemu-system-x86_64 qemu-system-x86
need qemu-img qemu-utils
need mmdebstrap mmdebstrap
need mke2fs e2fsprogs
need ssh openssh-client
# An ordinary user builds the images in a user namespace, and keeps the owners with fakeroot.
if [ "$(id -u)" != 0 ]; then
    need fakeroot fakeroot
    need newuidmap uidmap
fi
# Not a command: the keys that Debian's packages are signed with.
[ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || missing+=(debian-archive-keyring)

if [ ${#missing[@]} -eq 0 ]; then exit 0; fi
root=()
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null || ! sudo -n true 2>/dev/null; then
        echo "vm-packages: run this as root and try again: apt-get install ${missing[*]}" >&2
        exit 1
    fi
    root=(sudo -n)
fi
echo "vm-packages: installing ${missing[*]}" >&2
"${root[@]}" apt-get update -qq
# No package may start a service on the machine of whoever runs the tests.
"${root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
