"""What the control plane calls itself in `control_plane.identifier`: JSON with the names that istiod gives it."""

from __future__ import annotations

import json
import os
import socket


def identifier(version: str) -> str:
    """Of this process: the Pod's name where it has one, else the machine's."""
    instance = os.environ.get("POD_NAME") or socket.gethostname()
    return json.dumps({"Component": "proxyless", "ID": instance, "Info": {"version": version}})
