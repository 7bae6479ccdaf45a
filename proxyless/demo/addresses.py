"""Free addresses on loopback, reserved for as long as the demo runs.

Where the system has all of 127.0.0.0/8 (Linux) each process has an address of its own, as a pod has; elsewhere (macOS)
all of them are at 127.0.0.1. Ports are the kernel's choice, so that several demos can run side by side.
"""

from __future__ import annotations

import random
import socket
import sys

ONLY = "127.0.0.1"


def has_many() -> bool:
    """Whether any address of 127.0.0.0/8 can be listened on."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("127.1.2.3", 0))
        except OSError:
            return False
    return True


class Addresses:
    """`close` gives them back. `one`: only 127.0.0.1, also where there are others."""

    def __init__(self, *, one: bool = False, choose: random.Random | None = None) -> None:
        self.one = one or not has_many()
        choose = choose or random.Random()
        self._network = f"127.{choose.randint(1, 254)}.{choose.randint(1, 254)}"
        self._held: list[socket.socket] = []

    def host(self, number: int) -> str:
        """The address of the process of that number (1 to 254)."""
        return ONLY if self.one else f"{self._network}.{number}"

    def port(self, host: str) -> int:
        """A free port there.

        On Linux it stays reserved: a socket is bound to it and does not listen, so that nobody gets it by chance, a
        process of ours can (SO_REUSEADDR), and connections are refused while none does.
        """
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, 0))
        port: int = made.getsockname()[1]
        self._held.append(made)
        if sys.platform != "linux":
            made.close()
        return port

    def close(self) -> None:
        for each in self._held:
            each.close()
        self._held.clear()
