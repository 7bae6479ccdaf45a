"""Outlier detection: hosts that answer badly are left out for a while (envoy source: Outlier::DetectorImpl).

In: the outcome of every attempt (`HostMonitor.status`, `HostMonitor.result`) and the clock. Out: `HostState.ejected`,
which balancers look at, and events. One `Detector` for a cluster, one `HostMonitor` for each of its hosts; both live in
the state that outlives a configuration.

Nothing here runs by itself. What Envoy does at the end of each interval (hosts come back, rates are judged, the memory
of earlier ejections fades) is made up for, interval by interval and each at its own time, when the next outcome is
reported or the next host is chosen; about once a second the mesh does it for clusters at rest.
"""
