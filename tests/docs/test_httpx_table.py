"""The httpx page's table of flags, held against the replies and the exceptions that there are."""

from __future__ import annotations

import re

import httpcore
import httpx
import pytest

from proxyless.governance import replies
from proxyless.governance.replies import LocalReply
from proxyless.governance.runtime import Runtime
from proxyless.governance.suites._httpcore import Library
from proxyless.governance.suites._sync import GovernedPool
from tests.docs.pages import text_of

ROWS = {
    flag: (status, raised)
    for flag, status, raised in re.findall(
        r"^\| `(\w+)` \|[^|]*\| ([^|]*) \| ([^|]*) \|$", text_of("httpx"), re.MULTILINE
    )
}
REPLIES: dict[str, LocalReply] = {
    "NR": replies.no_route(),
    "NC": replies.no_cluster(503),
    "UH": replies.no_healthy_upstream(),
    "UO": replies.overflow(),
    "UF": replies.upstream_reset("connect-failure"),
    "UC": replies.upstream_reset("reset"),
    "UR": replies.upstream_reset("remote-reset"),
    "UT": replies.route_timeout(),
    "DPE": replies.bad_request("x"),
}


@pytest.mark.parametrize("flag", REPLIES)
def test_a_row_says_status_and_exception(flag: str) -> None:
    status, said = ROWS[flag]
    reply = REPLIES[flag]
    assert reply.flags == (flag,)
    assert str(reply.status) in status
    pool = GovernedPool(Runtime(), None, Library(httpcore, httpx.ByteStream), "raise")
    for each in (reply, reply.flagged("URX")):
        raised: type[Exception] | None = None
        try:
            pool.raise_for(each)
        except Exception as error:
            raised = type(error)
        assert said == ("the response" if raised is None else f"`httpx.{raised.__name__}`")


def test_the_other_rows_are_of_flags_that_no_reply_begins_with() -> None:
    assert set(ROWS) - set(REPLIES) == {"RL", "URX", "DC", "UPE", "FI", "RLSE", "SI", "UMSDR"}
