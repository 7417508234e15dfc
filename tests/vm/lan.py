"""A network between two machines: one cable, made of datagrams on this host's loopback.

A machine that is off loses what is sent to it, and the other's cable stays plugged in. A multicast
group would hand each machine its own frames, too.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.fleet.nodes import LOOPBACK

# tests/vm/image/root/etc/systemd/network/05-lan.network leaves these alone.
MAC = "52:54:00:c0:1d:{:02d}"
# Frames stay as long as the wire's: no segment is put together on either side.
PLAIN = "mrg_rxbuf=off,csum=off,guest_csum=off,gso=off,guest_tso4=off,guest_tso6=off,guest_ufo=off"


@dataclass(frozen=True)
class Cable:
    """One end of the cable.

    Attributes:
        number: of this machine, 1 or 2; its address is 10.9.0.<number>.
        here: UDP port of this end.
        there: UDP port of the other end.
    """

    number: int
    here: int
    there: int

    @property
    def qemu(self) -> list[str]:
        """QEMU's arguments for this end."""
        return [
            "-netdev",
            f"socket,id=lan,udp={LOOPBACK}:{self.there},localaddr={LOOPBACK}:{self.here}",
            "-device",
            f"virtio-net-pci,netdev=lan,mac={MAC.format(self.number)},{PLAIN}",
        ]

    @property
    def setup(self) -> str:
        """The shell command by which a machine sets its address up."""
        return (
            f"link=$(grep -l {MAC.format(self.number)} /sys/class/net/*/address | cut -d/ -f5); "
            f"ip addr replace 10.9.0.{self.number}/24 dev $link && ip link set $link up"
        )


def pair(first: int, second: int) -> tuple[Cable, Cable]:
    """Returns both ends of a cable between two UDP ports."""
    return Cable(1, first, second), Cable(2, second, first)
