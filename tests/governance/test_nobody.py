"""The service that stands where there is none."""

from __future__ import annotations

import asyncio

from proxyless.governance.actions import Failure, Nobody


def test_nobody_answers_with_a_failure() -> None:
    nobody = Nobody()
    nobody.tell("x", 1.0)
    for answer in (nobody.ask("x", 1.0), asyncio.run(nobody.ask_async("x", 1.0))):
        assert isinstance(answer, Failure)
