#!/usr/bin/env bash
# Builds the machine of a Debian release from its packages: root.ext4, vmlinuz, initrd, and the keys
# client_key and host_key, all in the folder OUT. Needs no mounts of the host, and root only in the
# namespace that mmdebstrap makes by itself. Every file of this folder is part of the recipe.
set -euo pipefail

release=${1:?usage: build.sh RELEASE OUT MIRROR}
out=${2:?usage: build.sh RELEASE OUT MIRROR}
mirror=${3:?usage: build.sh RELEASE OUT MIRROR}
here=$(cd "$(dirname "$0")" && pwd)
PATH=$PATH:/usr/sbin:/sbin
size=3G
packages=linux-image-cloud-amd64,initramfs-tools,zstd,systemd-sysv,udev,dbus,libpam-systemd
packages+=,openssh-server,python3,e2fsprogs,kmod,procps,iproute2,nfs-kernel-server,nfs-common
packages+=${COLDPROOF_VM_EXTRA:+,$COLDPROOF_VM_EXTRA}

mkdir -p "$out"
for key in client_key host_key; do
    ssh-keygen -q -t ed25519 -N '' -C "coldproof test fleet" -f "$out/$key"
done

# As an ordinary user mmdebstrap works in a user namespace, and fakeroot keeps the owners.
fake=()
[ "$(id -u)" = 0 ] || fake=(fakeroot)

# initramfs-tools must find its settings before the kernel is installed.
mmdebstrap --quiet --variant=minbase --include="$packages" \
    --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Retries "3"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='force-confold' \
    --essential-hook="tar -C '$here/root' -c --owner=0 --group=0 . | tar -C \"\$1\" -x --no-overwrite-dir" \
    --customize-hook="upload '$out/client_key.pub' /tmp/client_key.pub" \
    --customize-hook="upload '$out/host_key' /etc/ssh/ssh_host_ed25519_key" \
    --customize-hook="chroot \"\$1\" sh -eus" \
    "$release" "$out/root.tar" "$mirror" <"$here/customize.sh"

mkdir "$out/root"
"${fake[@]}" bash -euo pipefail -c '
    tar -C "$1/root" -xf "$1/root.tar"
    mke2fs -q -t ext4 -L root -m 0 -E root_owner=0:0,lazy_itable_init=1 -d "$1/root" "$1/root.ext4" "$2"
    cp "$1"/root/boot/vmlinuz-* "$1/vmlinuz"
    cp "$1"/root/boot/initrd.img-* "$1/initrd"
    chmod -R u+rwX "$1/root"
' build "$out" "$size"
rm -rf "$out/root" "$out/root.tar"
