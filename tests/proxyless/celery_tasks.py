"""A task that calls out, for a worker of Celery whose queue is a folder."""

from __future__ import annotations

import os
import threading

import httpx
from celery import Celery  # type: ignore[import-untyped]

FOLDER = os.environ.get("CELERY_FOLDER", "")

app = Celery("tasks", broker="filesystem://", backend=f"file://{FOLDER}/results")
app.conf.broker_transport_options = {
    "data_folder_in": f"{FOLDER}/queue",
    "data_folder_out": f"{FOLDER}/queue",
    "control_folder": f"{FOLDER}/control",
}


@app.task  # type: ignore[untyped-decorator]
def call() -> tuple[list[str], str]:
    """What of the mesh ran before the first call of this process, and the cluster that the call went to."""
    started = [each.name for each in threading.enumerate() if each.name.startswith("proxyless")]
    response = httpx.get("http://catalog.shop/items", headers={"x-user": "alice"}, timeout=60)
    return started, response.extensions["proxyless"].cluster.name
