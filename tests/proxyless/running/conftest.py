"""A control plane on the folder of the docs' examples, with backends behind it."""

from __future__ import annotations

from tests.docs.conftest import world as world
