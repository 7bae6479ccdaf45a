"""Active health checks: what is asked of whom and when, and what its answers mean (envoy: HealthCheckerImplBase).

In: the endpoints of a cluster that configures checks, the clock, and what came of each check. Out: `HostState.failing`,
`pending` and `degraded`, which balancers look at, events, and when the next check is due. Nothing here does I/O: the
driver (governance.suites._health) asks a `Checker` what is due, asks the endpoint, and reports.
"""
