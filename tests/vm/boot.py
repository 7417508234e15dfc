"""Boots one machine for a person, prints how to get in, and ends it on Ctrl-C.

python -m tests.vm.boot --release trixie
"""

from __future__ import annotations

import argparse
import shlex
import signal
import tempfile
from pathlib import Path

from tests.fleet.models import write_model
from tests.vm.images import RELEASES, image
from tests.vm.machines import MODELS, Machine


def main() -> None:
    """Boots the machine that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.vm.boot", description=__doc__)
    parser.add_argument("--release", choices=RELEASES, default="trixie")
    parser.add_argument("--memory", type=int, default=1536, metavar="MIB")
    parser.add_argument("--cpus", type=int, default=2)
    parser.add_argument("--model", type=int, default=96, metavar="MIB", help="0: none")
    chosen = parser.parse_args()
    # As Ctrl-C, so that the machine ends and its disks are removed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)

    with tempfile.TemporaryDirectory(prefix="coldproof-vm-") as folder:
        models = Path(folder) / "models"
        models.mkdir()
        if chosen.model:
            write_model(models / "m", mib=chosen.model)
        machine = Machine(
            f"vm-{chosen.release}",
            image(chosen.release),
            Path(folder),
            models=models,
            memory_mib=chosen.memory,
            cpus=chosen.cpus,
            disk_mib=512 + 2 * chosen.model,
        )
        try:
            machine.start()
            print(f"{machine.name} boots; its console: {machine.console}", flush=True)
            seconds = machine.wait_for_ssh()
            print(f"Up after {seconds:.0f} s, models at {MODELS}. Ctrl-C ends it. To get in:")
            print(shlex.join(machine.ssh_command()), flush=True)
            signal.pause()
        except KeyboardInterrupt:
            print("Ended.")
        finally:
            machine.close()


if __name__ == "__main__":
    main()
