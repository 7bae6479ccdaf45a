"""A mesh for unit tests (docs/testing.md): its control plane in the process, no thread, no socket but those of calls.

The machine, the suites, the control plane and the protocol between them are those of every other mesh. What differs:

    mesh.py      the control thread's work is done by whoever calls; clock, seed and endpoints are in the test's hand
    decisions.py what was decided for each call, and assertions about it
    forcing.py   objects that a test's words stand for: endpoints that it serves, faults that it injects
"""

from .decisions import Decision, Decisions
from .mesh import Clock, MeshUnderTest

__all__ = ["Clock", "Decision", "Decisions", "MeshUnderTest"]
