"""How one root follows another, so that nobody is ever shown a certificate that he cannot verify.

`announce` adds the new root to what workloads trust; when all of them have got a certificate since, `switch` lets it
sign; when all have one of it, `retire` takes the old root away. Each step is a function of the material before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from threading import Lock
from typing import Literal, Protocol

from .issuing import Material, Signer, new_signer

Step = Literal["announce", "switch", "retire"]


class RotationError(ValueError):
    """The step is not the one that is due; the text is for people."""


def announce(material: Material, now: float) -> Material:
    """A new root that is trusted and does not sign yet."""
    _own(material)
    if material.coming is not None:
        raise RotationError("a new root has been announced already: `switch` is next")
    if len(material.roots) > 1:
        raise RotationError("the root before is still trusted: `retire` is next")
    coming = new_signer(now)
    return replace(material, roots=(*material.roots, coming.certificate), coming=coming)


def switch(material: Material, now: float) -> Material:
    """The announced root signs."""
    del now
    if material.coming is None:
        raise RotationError("no new root has been announced: `announce` is first")
    return Material(material.coming, material.roots)


def retire(material: Material, now: float) -> Material:
    """Only the root that signs is trusted any more."""
    del now
    _own(material)
    if material.coming is not None:
        raise RotationError("the new root does not sign yet: `switch` is next")
    if len(material.roots) == 1:
        raise RotationError("there is one root only: `announce` is first")
    return Material(material.signer, (material.signer.certificate,))


STEPS: Mapping[Step, Callable[[Material, float], Material]] = {
    "announce": announce,
    "switch": switch,
    "retire": retire,
}


class Keeper(Protocol):
    """Where an authority's material is kept. Safe from all threads."""

    def current(self) -> Material:
        """As it is now. Raises AuthorityError where it cannot be had."""

    def rotate(self, step: Step, now: float) -> None:
        """Take a step. Raises RotationError where it is not due."""


class Kept:
    """In memory, gone with the process."""

    def __init__(self, material: Material) -> None:
        self._material = material
        self._lock = Lock()

    def current(self) -> Material:
        return self._material

    def rotate(self, step: Step, now: float) -> None:
        with self._lock:
            self._material = STEPS[step](self._material, now)


def _own(material: Material) -> Signer:
    """Only roots of our own making follow each other; an intermediate's are somebody else's."""
    if material.signer.between:
        raise RotationError("the signing certificate is not a root: whoever made it rotates it")
    return material.signer
