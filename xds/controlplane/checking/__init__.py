"""What is wrong with a folder of YAML, before anything runs on it.

`check` reads the folder as the control plane does, so what it calls an error is what the plane would refuse, and adds
what no single object can know: a host that no service has, a subset that no DestinationRule defines, a policy that
selects nothing, a field without effect. The rule that holds the package together: an *error* is refused or cannot do
what it says, a *warning* does something else than it seems to. Nothing here changes what is served.

One module for each group of kinds; each gives findings as (severity, keys into the object, message) and knows nothing
about files. `RULES` in `rules` is the table of them.
"""

from .check import check, findings
from .finding import Finding, Severity

__all__ = ["Finding", "Severity", "check", "findings"]
