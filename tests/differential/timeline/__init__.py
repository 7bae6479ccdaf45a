"""Cases on a timeline: requests at their moments, backends that change, hosts that are ejected and come back.

One description (`tests.differential.case.Case` with `backends`) is run three times: under Envoy and under a governed
httpx client by the clock, on the same real backends, and by the machine of a call under a clock that the test moves,
on backends that do what the description says. Compared are the endpoints that each request was sent to in their order,
status and flags, and who was ejected when. By the fake clock times are exact; by the real ones they are compared
within `TOLERANCE_S`, and nothing here judges how fast anything is.
"""

TOLERANCE_S = 0.5
"""How far from its moment a real event may be seen: admin is polled, and machines are busy."""

QUIET_S = 0.6
"""After the last request: hosts may still come back."""
