"""gateway.networking.k8s.io BackendTLSPolicy, field for field, and what makes one invalid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from .fields import REQUIRED, Inert
from .gateway_api import LocalObjectReference
from .problems import Problem

_MOST_NAMES = 5
_MOST_TARGETS = 16
_MOST_AUTHORITIES = 8


@dataclass(frozen=True, slots=True)
class PolicyTarget:
    """A Service or a ServiceEntry of the policy's namespace; `section_name` is the name of one of its ports."""

    group: str = ""
    kind: Annotated[str, REQUIRED] = ""
    name: Annotated[str, REQUIRED] = ""
    section_name: str = ""


@dataclass(frozen=True, slots=True)
class SubjectAltName:
    type: Annotated[Literal["Hostname", "URI"], REQUIRED] = "Hostname"
    hostname: str = ""
    uri: str = ""


@dataclass(frozen=True, slots=True)
class BackendTLSValidation:
    """Whom a backend must be, and by whose certificate."""

    ca_certificate_refs: tuple[LocalObjectReference, ...] = ()
    well_known_ca_certificates: str | None = None
    hostname: Annotated[str, REQUIRED] = ""
    subject_alt_names: tuple[SubjectAltName, ...] = ()

    NAMES: ClassVar[dict[str, str]] = {"well_known_ca_certificates": "wellKnownCACertificates"}


@dataclass(frozen=True, slots=True)
class BackendTLSPolicySpec:
    target_refs: Annotated[tuple[PolicyTarget, ...], REQUIRED] = ()
    validation: Annotated[BackendTLSValidation, REQUIRED] = BackendTLSValidation()
    options: Annotated[dict[str, str] | None, Inert("Istio has no options of its own for it")] = None


def policy_spec(made: BackendTLSPolicySpec) -> Iterator[Problem]:
    """Several targets that are one object are told apart by the port."""
    if len(made.target_refs) > _MOST_TARGETS:
        yield ("targetRefs",), f"must be at most {_MOST_TARGETS}, not {len(made.target_refs)}"
    seen: dict[tuple[str, str, str], list[str]] = {}
    for index, target in enumerate(made.target_refs):
        sections = seen.setdefault((target.group, target.kind, target.name), [])
        if target.section_name in sections or (sections and (not target.section_name or "" in sections)):
            yield ("targetRefs", index), f"names {target.kind} {target.name} again: sectionName must differ"
        sections.append(target.section_name)


def validation(made: BackendTLSValidation) -> Iterator[Problem]:
    if made.ca_certificate_refs and made.well_known_ca_certificates:
        yield ("caCertificateRefs",), "cannot be set together with wellKnownCACertificates"
    elif not made.ca_certificate_refs and not made.well_known_ca_certificates:
        yield (), "must have one of caCertificateRefs, wellKnownCACertificates"
    for name, given, most in (
        ("caCertificateRefs", len(made.ca_certificate_refs), _MOST_AUTHORITIES),
        ("subjectAltNames", len(made.subject_alt_names), _MOST_NAMES),
    ):
        if given > most:
            yield (name,), f"must be at most {most}, not {given}"


def subject_alt_name(made: SubjectAltName) -> Iterator[Problem]:
    for kind, name, held in (("Hostname", "hostname", made.hostname), ("URI", "uri", made.uri)):
        if kind == made.type and not held:
            yield (name,), f"is required for type {kind}"
        elif kind != made.type and held:
            yield (name,), f"cannot be set for type {made.type}"
