"""Who this workload is: to its control plane, and to its peers.

`bootstrap` says who it is and where its control plane is; that comes from arguments, from the environment that an Istio
sidecar would have (`environment`) or from a gRPC bootstrap file (`grpc_bootstrap`). No secret is in it, only where
secrets are: `settings`, found by `finding`.

`identity.Identity` hands out certificates and roots from memory (the protocol `secrets.Secrets`) and keeps them fresh:
by an authority (`rotation` knows when to ask and what to believe, `authority` asks), an agent's socket (`sds`) or
`files`. Contexts of TLS are made of them (`client`, `contexts`). The rule that holds it together: what cannot be
verified is not used, what is in use stays until something better is there, and no key or token is ever told.
"""
