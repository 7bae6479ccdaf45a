"""What others may know of a mesh: metrics, log lines, the status document.

In: calls and requests as they end (`runtime.Listener`), and about once a second how things stand (`facts.Facts`). Out:
whatever an exporter makes of it; each is one module, imported only where it is wanted, and nobody but the mesh imports
any of them. The rule that holds it together: a call pays for adding a few numbers to sums that are already there, and
everything else (text, labels, the library's own locks) happens on the tick or when somebody asks.
"""
