"""AdmissionReview (admission.k8s.io/v1): an object that somebody writes to the API server, checked before it is there.

What the control plane would refuse is refused, with field and reason. How the object goes with others is a warning:
objects are applied one after the other, and the one that a route names may come next. `strict` refuses that, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .checking.finding import Finding
from .checking.proposed import Verdict, proposed
from .registry.world import World

VERSION = "admission.k8s.io/v1"
MOST_WARNINGS = 20
"""The API server drops what is more than 4 KiB in all."""
_JUDGED = ("CREATE", "UPDATE")


class NotAReview(ValueError):  # noqa: N818  (it is told to people as it stands)
    """What was asked is no AdmissionReview of a version that is known here."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`document` goes back; the rest is for who counts."""

    document: dict[str, Any]
    kind: str
    allowed: bool
    warnings: int


def answered(review: object, world: World, *, strict: bool = False) -> Answer:
    """The answer to a review.

    Raises:
        NotAReview: it is none.
    """
    request = _request(review)
    judged = request.get("operation") in _JUDGED
    value = request.get("object")
    verdict = Verdict()
    if judged and isinstance(value, dict) and not _leaving(value):
        verdict = proposed(value, world)
    refusing = [*verdict.refused, *(each for each in verdict.found if strict and each.severity == "error")]
    warnings = [_warning(each) for each in verdict.found if each not in refusing]
    response: dict[str, Any] = {"uid": request["uid"], "allowed": not refusing}
    if refusing:
        text = "; ".join(each.text for each in refusing)
        response["status"] = {"status": "Failure", "code": 422, "reason": "Invalid", "message": text}
    if warnings:
        more = len(warnings) - MOST_WARNINGS
        response["warnings"] = warnings[:MOST_WARNINGS] + ([f"and {more} more"] if more > 0 else [])
    kind = value.get("kind") if isinstance(value, dict) else None
    document = {"apiVersion": VERSION, "kind": "AdmissionReview", "response": response}
    return Answer(document, str(kind or ""), not refusing, len(warnings))


def _request(review: object) -> Mapping[str, Any]:
    if not isinstance(review, dict) or review.get("kind") != "AdmissionReview":
        raise NotAReview("an AdmissionReview is wanted")
    if review.get("apiVersion") != VERSION:
        raise NotAReview(f"admissionReviewVersions must be [v1]: {VERSION} is the version that is answered")
    request = review.get("request")
    if not isinstance(request, dict) or not isinstance(request.get("uid"), str):
        raise NotAReview("the AdmissionReview has no request with a uid")
    return request


def _leaving(value: Mapping[str, Any]) -> bool:
    """Whether it is being deleted: what takes its finalizers off must not be held up."""
    meta = value.get("metadata")
    return isinstance(meta, dict) and bool(meta.get("deletionTimestamp"))


def _warning(found: Finding) -> str:
    return f"error: {found.text}" if found.severity == "error" else found.text
