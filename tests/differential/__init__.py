"""The real Envoy beside us: recorded configuration under both, the same requests through both, the differences.

`recording` reads and rewrites what istiod sent, `bootstrap` turns it into a static Envoy configuration, `rig` runs
Envoy and the backends and observes each request, `facts` prints what Envoy does (see `docs/envoy-facts.md`).

`generator` and `steering` make requests, `kinds`, `actions` and `failures` make tables of our own; `ours` and
`governed` put the requests to `explain` and to httpx, `decision` and `outcomes` say what became of them in words that
all share, `comparison` holds them against each other (see `docs/differential.md`).
"""
