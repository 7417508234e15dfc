"""A look at a followed node waits while what is streamed says that the agent goes on."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coldproof.live.exchange import Exchange
from plugins.action import look

BOOT = "01234567-89ab-cdef-0123-456789abcdef"


ANSWER = f"{BOOT}\n"


def judged(seen: dict[str, Any]) -> dict[str, Any]:
    return seen | {"ended": "end" in seen["stdout"]}


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[Exchange]:
    made = Exchange(tmp_path).make()
    yield made
    made.close()


def quiet(exchange: Exchange, most_s: float = 30.0) -> dict[str, Any] | None:
    return look.quiet(exchange, "gpu-01", 10.0, most_s, judged)


def test_without_a_stream_a_look_is_needed_at_once(exchange: Exchange) -> None:
    assert quiet(exchange) is None


@pytest.mark.parametrize("text", [f"{ANSWER}end", "no boot"])
def test_an_end_is_looked_at(exchange: Exchange, text: str) -> None:
    exchange.put("gpu-01", text, ring=True)
    assert quiet(exchange) is None


@pytest.mark.parametrize("change", ["end", "no stream"])
def test_it_sleeps_until_the_bell_rings(exchange: Exchange, change: str) -> None:
    exchange.put("gpu-01", ANSWER, ring=True)
    began = time.monotonic()

    def ring() -> None:
        exchange.put("gpu-01", ANSWER, ring=True)
        time.sleep(1)
        if change == "end":
            exchange.put("gpu-01", f"{ANSWER}end", ring=True)
        else:
            exchange.forget("gpu-01")

    thread = threading.Thread(target=ring)
    thread.start()
    used = time.thread_time()
    assert quiet(exchange) is None
    assert time.thread_time() - used < 0.2
    assert 1 <= time.monotonic() - began < look.STEP_S / 2
    thread.join()


def test_it_waits_no_longer_than_it_may(exchange: Exchange) -> None:
    exchange.put("gpu-01", ANSWER, ring=False)
    seen = quiet(exchange, 0.3)
    assert seen is not None
    assert (seen["boot_id"], seen["ended"]) == (BOOT, False)


def test_the_time_limit_is_for_the_look_and_not_for_the_wait() -> None:
    def late(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, late)
    try:
        signal.alarm(1)
        with look.limit_stands_still() as still:
            assert still
            time.sleep(1.3)
        with pytest.raises(TimeoutError):
            time.sleep(3)
        with look.limit_stands_still() as still:
            assert not still
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def test_who_waits_does_not_spin_when_the_view_is_gone(exchange: Exchange) -> None:
    exchange.put("gpu-01", ANSWER, ring=False)
    with exchange.bell("gpu-01") as wait:
        exchange.close()
        used, began = time.thread_time(), time.monotonic()
        wait(1.0)
        assert time.monotonic() - began >= 0.9
        assert time.thread_time() - used < 0.2


class Connection:
    """The options that Ansible's ssh has."""

    def __init__(self, transport: str = "ssh", **options: Any) -> None:
        self.transport, self._options = transport, options

    def get_option(self, name: str) -> Any:
        return self._options.get(name)


def test_the_node_is_reached_as_ansible_reaches_it() -> None:
    options = {
        "host": "10.0.0.1", "port": 2222, "remote_user": "u", "private_key_file": "/a b/k",
        "ssh_args": "-C -o ControlPersist=60s", "ssh_common_args": "-J 'jump'",
    }  # fmt: skip
    assert look.reach(Connection(**options)) == {
        "host": "10.0.0.1",
        "ssh": [
            *("-C", "-o", "ControlPersist=60s", "-o", 'Port="2222"'),
            *("-o", 'IdentityFile="/a b/k"', "-o", 'User="u"', "-J", "jump"),
        ],
    }


def test_a_password_goes_nowhere() -> None:
    reached = look.reach(Connection(password="hunter22", host="h"))
    assert reached == {"why": "it is reached by a password"}
    assert "local" in look.reach(Connection("local"))["why"]
