"""What a change of configuration changes in decisions: `proxyless diff`.

Two folders come in, one document goes out (docs/diff.md). Nothing here decides: each side is a control plane on its
folder, each kind of client is told by both what a process would be told, and the product's own decoders and runtime
decide by it, as in `explain`. What is compared is what came of that:

* `folders` opens both, `clients` says who asks, `standing` who is told the same, `sight` is what one client is told by
  one folder, `touched` what of two sights can differ at all, `asking` goes through all clients.
* `asked` reads requests from a file, `samples` makes them from the routes of both sides (`examples`: a text for each
  matcher), `decisions` is what becomes of one, with every cluster that it may be sent to.
* `requests`, `clusters`, `chains`, `inbound` compare; `differing` finds differences of dataclasses, `effects` says
  which way they go, `changes` is what they find.
* `comparison` puts it together: each change once, with the clients that see it.

The rule that holds it together: what is equal is compared by what was decided or decoded, never by text, so files,
their order and the form of the YAML mean nothing.
"""

from .comparison import Comparison, compare

__all__ = ["Comparison", "compare"]
