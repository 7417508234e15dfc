"""A second machine of the same release as the first one, at the other end of its cable.

Of Debian 12: Debian 13's kernel at times panics under emulation while it receives much.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from tests.vm.conftest import BOOKWORM
from tests.vm.fleet import Machines
from tests.vm.machines import Machine


@contextlib.contextmanager
def twins(machines: Machines, name: str, **attributes: Any) -> Iterator[tuple[Machine, Machine]]:
    """Boots a machine of this name, and lends it with the first one; it ends with the block.

    The first one's inventory variables are afterwards as they were. Further attributes are those
    of Machine.
    """
    first = machines.machines[BOOKWORM]
    kept = dict(first.variables)
    if not first.running:
        first.power_on()
    second = machines.add(
        name, first.image, models=first.models, lan=machines.other_end, **attributes
    )
    try:
        second.start()
        for machine in (first, second):
            machine.wait_for_ssh()
        yield first, second
    finally:
        machines.machines.pop(name).close()
        first.variables = kept
