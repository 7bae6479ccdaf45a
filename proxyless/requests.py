"""`proxyless.requests.Adapter`: outgoing calls of requests, governed.

session.mount("http://", proxyless.requests.Adapter(mesh))
"""

from collections.abc import Iterable
from typing import Any

try:
    import httpcore as httpcore
    import httptools as httptools
    import requests as requests
except ModuleNotFoundError as error:
    text = f"proxyless.requests needs requests, httpcore and httptools ({error}): pip install 'proxyless[requests]'"
    raise ModuleNotFoundError(text, name=error.name) from error

from ._composing import policies_of
from ._versions import require
from .governance.suites._underway import ErrorMode
from .governance.suites.requests import GovernedAdapter
from .mesh import Mesh, runtime_of

__all__ = ["Adapter"]


class Adapter(GovernedAdapter):
    """`requests.adapters.HTTPAdapter`, governed. Takes its options too; they serve what the mesh does not govern.

    `errors="raise"` turns UF, UC and UT into requests' exceptions. `mesh=None`: the one of the process.

    Raises:
        UnsupportedError: another version of requests is installed.
    """

    runtime_of = staticmethod(runtime_of)
    policies_of = staticmethod(policies_of)

    def __init__(
        self,
        mesh: Mesh | None = None,
        *,
        errors: ErrorMode = "response",
        policies: Iterable[object] = (),
        **options: Any,
    ) -> None:
        require("requests", "2.32.2", "3")
        super().__init__(mesh, errors=errors, policies=policies, **options)
