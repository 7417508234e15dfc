#!/usr/bin/env bash
# Runs a command in a Debian 13 root on a copy of the tree: Python 3.13, and so the newest
# ansible-core, which Debian 12's Python is too old for. As root.
#
#   tests/setup/debian13.sh FOLDER COMMAND [WORD ...]
#
# FOLDER keeps the root and its environment, and is made if it is not there.
set -euo pipefail

folder=$1
shift
here=$(cd "$(dirname "$0")/../.." && pwd)
root=$folder/root
packages=ca-certificates,git,make,openssh-client,openssh-server,procps,python3,python3-venv
packages+=,util-linux,util-linux-extra,vmtouch

if [ "$(id -u)" != 0 ]; then
    echo "debian13: run this as root: it mounts the root's /proc and /dev" >&2
    exit 1
fi
if [ ! -e "$root/.complete" ]; then
    echo "debian13: building $root" >&2
    mkdir -p "$folder"
    rm -rf "$root"
    mmdebstrap --quiet --variant=minbase --include="$packages" trixie "$root"
    touch "$root/.complete"
fi

# The index of packages as it is set up here.
for file in /etc/resolv.conf /etc/hosts /etc/pip.conf; do
    if [ -e "$file" ]; then cp -L "$file" "$root$file"; fi
done
# Whom this machine trusts, an index of its own with its own authority say.
trusted=${PIP_CERT:-/etc/ssl/certs/ca-certificates.crt}
if [ -e "$trusted" ]; then cp -L "$trusted" "$root/etc/ssl/certs/ca-certificates.crt"; fi
rm -rf "$root/src"
mkdir -p "$root/src"
# What git tracks, and what it would: the tests ask git for it.
git -C "$here" ls-files -z --cached --others --exclude-standard |
    tar -C "$here" --null --files-from=- --ignore-failed-read -cf - | tar -C "$root/src" -xf -

# In namespaces of their own, so that nothing is left mounted or running. The root is mounted on
# itself, because the agent looks for the mount on which a file lies. Their first process stays this
# shell, which takes leave of orphans: an agent that was killed would else never be gone.
# shellcheck disable=SC2016 # for the shell in there
exec unshare --mount --pid --fork --kill-child sh -c '
    root=$1
    shift
    mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    mount --rbind /sys "$root/sys"
    mount --rbind /dev "$root/dev"
    chroot "$root" env -i HOME=/root LANG=C.UTF-8 PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        ${PIP_INDEX_URL:+PIP_INDEX_URL="$PIP_INDEX_URL"} sh -c "cd /src && exec \"\$@\"" _ "$@"
    exit $?
' _ "$root" "$@"
