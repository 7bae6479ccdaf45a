"""`proxyless.urllib3.PoolManager`: outgoing calls of urllib3, governed.

http = proxyless.urllib3.PoolManager(mesh)
"""

from collections.abc import Iterable, Mapping
from typing import Any

try:
    import httpcore as httpcore
    import httptools as httptools
    import urllib3
except ModuleNotFoundError as error:
    text = f"proxyless.urllib3 needs urllib3, httpcore and httptools ({error}): pip install 'proxyless[urllib3]'"
    raise ModuleNotFoundError(text, name=error.name) from error

from ._composing import policies_of
from ._versions import require
from .governance.suites._underway import ErrorMode
from .governance.suites.urllib3 import govern, governs
from .mesh import Mesh, runtime_of

__all__ = ["PoolManager"]


class PoolManager(urllib3.PoolManager):
    """`urllib3.PoolManager`, governed. Takes its options too; they serve what the mesh does not govern.

    `errors="raise"` turns UF, UC and UT into urllib3's exceptions. `mesh=None`: the one of the process.

    Raises:
        UnsupportedError: another version of urllib3 is installed.
    """

    def __init__(
        self,
        mesh: Mesh | None = None,
        num_pools: int = 10,
        headers: Mapping[str, str] | None = None,
        *,
        errors: ErrorMode = "response",
        policies: Iterable[object] = (),
        **options: Any,
    ) -> None:
        require("urllib3", "2.2", "3")
        super().__init__(num_pools, headers, **options)
        runtime = runtime_of(mesh)
        govern(self, runtime, errors, policies_of(runtime, policies, "proxyless.urllib3.PoolManager", blocking=True))


def govern_own(manager: urllib3.PoolManager) -> None:
    """`proxyless run`: a manager of the program's is governed by the mesh of the process, unless it is governed."""
    if not governs(manager):
        govern(manager, runtime_of(None), "response")
