"""The rest of the real servers of tests/proxyless/test_server_matrix.py, and what runs below `proxyless run`."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.proxyless.running.test_servers import MORE as MORE_BELOW_RUN
from tests.proxyless.running.test_servers import are_governed_once
from tests.proxyless.test_server_matrix import (
    APPS,
    GUNICORN,
    MORE,
    Served,
    environment,
    is_governed_under,
)
from tests.proxyless.test_server_matrix import address as address
from tests.support.certificates import authority

BELOW_RUN = {
    "gunicorn, gthread, preload": f"{GUNICORN} --preload --threads 2",
}


@pytest.mark.parametrize("name", MORE)
def test_an_app_is_governed_under(name: str, address: str, tmp_path: Path) -> None:
    is_governed_under(MORE[name], address, tmp_path)


def test_granian_with_tls_of_its_own_does_not_start(address: str, tmp_path: Path) -> None:
    key, chain = authority().server("localhost")
    for name, data in (("key.pem", key), ("chain.pem", chain)):
        (tmp_path / name).write_bytes(data)
    options = f"--ssl-certificate {tmp_path}/chain.pem --ssl-keyfile {tmp_path}/key.pem"
    served = Served(f"granian {APPS}:asgi --interface asgi --port PORT {options}", address, tmp_path)
    try:
        assert served.process.wait(120) != 0
    finally:
        served.close()
    assert "UnsupportedError: granian terminates TLS by itself (--ssl-certificate)" in served.log.read_text()


@pytest.mark.parametrize("name", MORE_BELOW_RUN)
def test_requests_are_governed_once_below_run(name: str, address: str, tmp_path: Path) -> None:
    are_governed_once(MORE_BELOW_RUN[name], address, tmp_path)


@pytest.mark.parametrize("name", BELOW_RUN)
def test_calls_out_of_workers_are_governed_below_run(name: str, address: str, tmp_path: Path) -> None:
    served = Served(BELOW_RUN[name], address, tmp_path, "proxyless.cli", "run", "--")
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{served.port}", trust_env=False, timeout=90) as client:
            served.first_answer(client)
            answer = client.get("/call")
    finally:
        served.close()
    said = served.log.read_text()
    assert answer.text == "outbound|80|v2|catalog.shop.svc.cluster.local", said
    assert said.count("proxyless run: governs httpx ") == 1


def test_a_task_of_celery_is_governed_in_the_child_that_it_runs_in(address: str, tmp_path: Path) -> None:
    if importlib.util.find_spec("celery") is None:
        pytest.skip("celery is not installed")
    for name in ("queue", "control", "results"):
        (tmp_path / name).mkdir()
    variables = {**environment(address, tmp_path), "CELERY_FOLDER": str(tmp_path)}
    tasks = "tests.proxyless.celery_tasks"
    celery = f"celery -A {tasks} worker --pool prefork -c 1 --without-gossip --without-mingle --without-heartbeat"
    ask = f"from {tasks} import call; import json; print(json.dumps(call.delay().get(timeout=150)))"
    log = tmp_path / "log"
    with log.open("wb") as said:
        worker = subprocess.Popen(
            [sys.executable, "-m", "proxyless.cli", "run", "--", sys.executable, "-m", *celery.split()],
            cwd=tmp_path,
            env=variables,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
    try:
        asked = subprocess.run(
            [sys.executable, "-c", ask], cwd=tmp_path, env=variables, capture_output=True, text=True, check=False
        )
    finally:
        worker.terminate()
        try:
            worker.wait(60)
        finally:
            if worker.poll() is None:
                worker.kill()
                worker.wait()
    assert asked.returncode == 0, asked.stderr + log.read_text()
    assert json.loads(asked.stdout) == [[], "outbound|80|v2|catalog.shop.svc.cluster.local"]
