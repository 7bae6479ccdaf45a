"""`proxyless inject`: a manifest whose process is in the mesh without a sidecar, as `charts/proxyless` would make it.

* `wanted` is what a Pod and a container need: data, by the names that docs/bootstrap.md promises.
* `workload` finds the Pod in an object and changes it in place; `probes` is the part about the kubelet's probes.
* `manifest` goes from text to text, and leaves alone what it need not change: documents, comments, order.

The rule that holds it together: what is there already under the same name is made what it has to be, nothing is there
twice, and a second run changes nothing.
"""

from .manifest import Injected, InjectError, injected
from .wanted import Wanted

__all__ = ["InjectError", "Injected", "Wanted", "injected"]
