"""From a snapshot to a decision, and from a decision to a governed call.

The pure part (routing, balancing, thresholds, retry, rate limit ...) knows no socket, thread or clock; `call` and
`inbound` are machines that yield what to do next; `suites` drive them with one library each; `telemetry` listens.
"""
