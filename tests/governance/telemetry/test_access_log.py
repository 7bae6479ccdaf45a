"""The thread that writes access logs."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path

import pytest

from proxyless.governance.telemetry.access_log import AccessLogWriter
from proxyless.governance.telemetry.facts import Facts
from proxyless.governance.telemetry.gauges import log_counts
from proxyless.governance.telemetry.status import status
from tests.support.waiting import wait_for
from tests.support.world import World


def test_lines_are_written_by_a_thread_and_a_file_that_was_moved_is_opened_anew(tmp_path: Path) -> None:
    writer = AccessLogWriter(linger_s=0.0)
    path = tmp_path / "access.log"
    writer.write(str(path), b"one\n")
    wait_for(lambda: path.exists() and path.read_bytes() == b"one\n")
    path.rename(tmp_path / "old")
    writer.write(str(path), b"two\n")
    wait_for(lambda: path.exists() and path.read_bytes() == b"two\n")
    assert path.stat().st_mode & 0o777 == 0o640 & ~_umask()
    writer.write(str(path), b"three\n")
    writer.close()
    assert path.read_bytes() == b"two\nthree\n"
    assert (writer.counts.written, writer.counts.dropped) == (3, 0)
    writer.write(str(path), b"late\n")  # nobody writes it any more, and nobody is stopped
    writer.close()


def _umask() -> int:
    found = os.umask(0)
    os.umask(found)
    return found


def test_what_waits_has_a_bound_and_what_is_dropped_is_counted(tmp_path: Path) -> None:
    writer = AccessLogWriter(most=10, linger_s=60.0)
    for _ in range(3):
        writer.write(str(tmp_path / "log"), b"12345")
    assert writer.counts.dropped == 1
    writer.flush()
    assert (tmp_path / "log").read_bytes() == b"1234512345"


def test_a_path_that_cannot_be_written_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    writer = AccessLogWriter(linger_s=60.0)
    for _ in range(2):
        writer.write(str(tmp_path / "none" / "log"), b"line\n")
        writer.flush()
    assert (writer.counts.dropped, len(caplog.records)) == (2, 1)
    assert "cannot be written" in caplog.text


def test_lines_may_go_to_a_logger(caplog: pytest.LogCaptureFixture) -> None:
    writer = AccessLogWriter(to_logger=True, linger_s=60.0)
    with caplog.at_level(logging.INFO, "proxyless.access"):
        writer.write("/dev/stdout", b"a line\n")
        writer.flush()
    assert caplog.messages == ["a line"]


def test_standard_streams_are_this_process_s_own(capfd: pytest.CaptureFixture[str]) -> None:
    writer = AccessLogWriter(linger_s=60.0)
    writer.write("/dev/stdout", b"out\n")
    writer.write("/dev/stderr", b"err\n")
    writer.flush()
    assert capfd.readouterr() == ("out\n", "err\n")


def test_a_child_leaves_to_its_parent_what_waits(tmp_path: Path) -> None:
    writer = AccessLogWriter(linger_s=60.0)
    writer.write(str(tmp_path / "log"), b"parent's\n")
    thread = writer._thread
    assert isinstance(thread, threading.Thread)
    writer.forked()
    writer.write(str(tmp_path / "log"), b"child's\n")
    writer.flush()
    assert (tmp_path / "log").read_bytes() == b"child's\n"


def test_metrics_and_status_say_what_was_dropped(tmp_path: Path) -> None:
    runtime = World().runtime
    facts = Facts(runtime, None, None, 0.0)
    assert (list(log_counts(runtime)), status(facts)["access_log"]) == ([], None)
    writer = AccessLogWriter(most=10)
    runtime.logged = lambda: writer.counts
    assert list(log_counts(runtime)) == []
    writer.write(str(tmp_path / "log"), b"12345678\n")
    writer.write(str(tmp_path / "log"), b"too many\n")
    writer.write(str(tmp_path / "none" / "log"), b"")
    writer.close()
    assert [(each.labels, each.value) for each in log_counts(runtime)] == [(("written",), 1), (("dropped",), 2)]
    said = status(facts)["access_log"]
    assert (said["written"], said["dropped"], [*said["errors"]]) == (1, 2, [str(tmp_path / "none" / "log")])
