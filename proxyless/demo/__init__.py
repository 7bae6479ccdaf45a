"""The shop: a mesh on one machine that shows what proxyless does, counts it, and ends by itself.

    proxyless serve FOLDER  <- Istio and Kubernetes YAML (`istio/`, `kubernetes`)
         | ADS
    storefront -> catalog v1 v2 v3, cart 1 2, checkout -> payment      a process each (`service`)
         ^
    load generator (`load`), which knows nothing of a mesh

* `shop` says which processes there are, `addresses` where, `kubernetes` and the files in `istio/` what governs them.
* `processes` starts and ends them, `run` holds a demo together, `keep` what stays with `--keep`.
* `scenarios` is the walk: each changes or asks something and hands back checks.
* `seen` reads what happened; `table` and `live` show it.

The rule that holds it together: what is expected is computed from the YAML that this package ships, and what is seen is
what the processes counted outside the mesh (before the middleware, and behind it), what the load generator got, and
the Prometheus text. A sabotage changes the YAML that is written, or a process, and never the expectation.
"""
