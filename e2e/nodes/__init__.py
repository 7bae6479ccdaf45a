"""Nodes for a Kubernetes control plane that has none: what a kubelet, a network plugin, kube-proxy and a DNS server do,
without containers, as far as the tests need it.

What comes in are the Pods that the API server knows; what goes out are processes and the status of Pods. A Pod has an
address and a network namespace of its own on a bridge; each container is a process in a mount namespace whose root
holds this machine's /usr, this checkout, its Python, and the Pod's volumes: an image is a name for that root. Tokens
are TokenRequest's, endpoints are what the controller manager makes of what is told here, packets are real.

| | |
|---|---|
| `agent.py` | the nodes: registers them, keeps their leases, binds Pods to them, follows Pods |
| `pod.py`, `container.py` | one Pod's life, one process of it |
| `probes.py`, `status.py` | what is asked of it, what is told of it |
| `volumes.py`, `environment.py` | files and variables from ConfigMaps, Secrets, the downward API, tokens |
| `sandbox.py`, `network.py` | namespaces, mounts, addresses: these need root |
| `services.py` | ClusterIPs (connections are passed on to a ready endpoint) and the cluster's names |
| `rest.py` | the API server, in plain JSON |

Not here: images, cgroups (requests and limits are told to the program, not enforced), scheduling by anything but
nodeSelector and even spread, hostNetwork, host ports, persistent volumes, ephemeral containers, readiness gates,
NetworkPolicy, UDP through a ClusterIP, SRV records. Pods that ask for a volume of another kind stay Pending and say so.
"""
