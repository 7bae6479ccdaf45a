#!/usr/bin/env bash
# The shop's scenarios against a cluster that you have, with istiod or with charts/proxyless-controller on it.
#
#   e2e/cluster.sh IMAGE [KUBECONFIG]
#
# IMAGE has proxyless[demo] in it and can be pulled by the nodes (with kind: `kind load docker-image IMAGE`).
# The control plane is istiod.istio-system.svc:15012 unless PROXYLESS_E2E_CONTROL_PLANE says HOST:PORT.
# The namespace `shop` is made and deleted; it must not be there before.
#
# `make e2e` does not run this: it needs containers and istiod. It runs the same tests, e2e/test_pods.py, on a cluster of
# its own. What breaks machines (nodes, API server, control plane) is for that cluster only and is not run here.
set -euo pipefail
cd "$(dirname "$0")/.."

image=${1:?usage: e2e/cluster.sh IMAGE [KUBECONFIG]}
kubeconfig=${2:-${KUBECONFIG:-$HOME/.kube/config}}
for each in kubectl go; do
  command -v "$each" >/dev/null || { echo "e2e/cluster.sh: $each is missing" >&2; exit 2; }
done
[ -r "$kubeconfig" ] || { echo "e2e/cluster.sh: there is no kubeconfig $kubeconfig" >&2; exit 2; }
if kubectl --kubeconfig="$kubeconfig" get namespace shop >/dev/null 2>&1; then
  echo "e2e/cluster.sh: the namespace shop is there already: delete it first" >&2
  exit 2
fi
kubectl --kubeconfig="$kubeconfig" get crd virtualservices.networking.istio.io >/dev/null ||
  { echo "e2e/cluster.sh: the cluster has no CRDs of Istio" >&2; exit 2; }

export PROXYLESS_E2E_KUBECONFIG=$kubeconfig PROXYLESS_E2E_IMAGE=$image
exec "${VENV:-.venv}/bin/python" -m pytest -p no:cacheprovider -v --timeout=900 e2e/test_pods.py
