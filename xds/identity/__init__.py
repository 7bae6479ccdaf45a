"""Who this workload is, and where its control plane is.

`bootstrap` holds the answer as data; it comes from arguments, from the environment that an Istio sidecar would have
(`environment`) or from a gRPC bootstrap file (`grpc_bootstrap`). Secrets are never held here, only the paths they are
read from, anew for each use.
"""
