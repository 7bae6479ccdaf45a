"""Field coverage: of every field that a control plane can set, whether it takes effect here, and if not, why.

The table is data, one module per area: a field is *honoured*, *meaningless in process* or *not yet*, a field that the
table does not know counts as not yet. `notes` walks a resource and names what is set and not yet done, through every
Any, with the way to it; it decodes anew and is for people. The rule that holds it together: each field has one voice.
What depends on the field alone is named here; what depends on the endpoints (priorities, localities, which of them
want TLS) is the balancer's to name, and marked as told by it.
"""

from .listing import Row, rows
from .notes import notes, virtual_host_notes

__all__ = ["Row", "notes", "rows", "virtual_host_notes"]
