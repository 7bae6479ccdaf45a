"""What a mesh's and a suite's `policies=[...]` may hold (docs/composition.md).

client = httpx.Client(transport=proxyless.httpx.Transport(mesh, policies=[Tenant(), off("retry")]))
"""

from .governance.composition.items import MESH, Fallback, Policy, Suite, off, shadow
from .governance.composition.messages import Request, Response

__all__ = ["MESH", "Fallback", "Policy", "Request", "Response", "Suite", "off", "shadow"]
