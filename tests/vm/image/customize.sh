# Runs in the new root as root. Only what the fleet needs starts, so that a boot is short.
chmod 600 /etc/ssh/ssh_host_ed25519_key
rm -f /etc/ssh/ssh_host_rsa_key* /etc/ssh/ssh_host_ecdsa_key* /etc/ssh/*.pub
install -d -m 700 /root/.ssh
install -m 600 /tmp/client_key.pub /root/.ssh/authorized_keys
rm /tmp/client_key.pub
install -d -m 755 /srv/models
echo debian >/etc/hostname
printf '127.0.0.1 localhost\n' >/etc/hosts
# Each machine gets its id from the kernel's command line. A first boot has nothing to set up.
: >/etc/machine-id
systemctl enable systemd-networkd.service ssh.service
systemctl disable systemd-networkd-wait-online.service || true
# A test starts the NFS server when it needs it.
systemctl disable nfs-server.service rpcbind.service rpcbind.socket nfs-client.target || true
# A test calls podman itself: no service of it starts at boot.
systemctl disable podman.socket podman.service podman-restart.service podman-auto-update.timer \
    podman-clean-transient.service || true
systemctl mask nfs-blkmap.service rpc-gssd.service rpc-svcgssd.service || true
systemctl set-default multi-user.target
systemctl mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
    e2scrub_reap.service fstrim.timer systemd-timesyncd.service getty@tty1.service \
    serial-getty@ttyS0.service modprobe@configfs.service modprobe@drm.service \
    modprobe@efi_pstore.service sys-kernel-debug.mount sys-kernel-tracing.mount \
    dev-hugepages.mount dev-mqueue.mount systemd-journal-flush.service \
    proc-sys-fs-binfmt_misc.automount systemd-binfmt.service
# A session that starts root's service manager costs an emulated machine seconds; it runs already.
install -d /var/lib/systemd/linger
: >/var/lib/systemd/linger/root
# Only one kernel, and it is the one that QEMU is given.
test "$(find /boot -name 'vmlinuz-*' | wc -l)" = 1
# Last: nothing is older than the system, so that no service brings caches up to date at boot.
touch /etc/.updated /var/.updated
