"""A context's own demands on a peer, and those that came with its secret (CombinedCertificateValidationContext)."""

from __future__ import annotations

from dataclasses import replace

from ..model.tls import Validation


def merged(own: Validation, secret: Validation) -> Validation:
    """Both, as protobuf merges messages: lists are joined, and what the secret says goes before.

    Names of a type go before names of any type, which nobody looks at then; so it is where they come together too.
    """
    sans = own.sans + secret.sans
    typed = tuple(each for each in sans if each.san)
    return replace(
        own,
        sans=typed or sans,
        crl_of_leaf_only=own.crl_of_leaf_only or secret.crl_of_leaf_only,
        certificate_hashes=own.certificate_hashes + secret.certificate_hashes,
        spki_hashes=own.spki_hashes + secret.spki_hashes,
        allow_expired=own.allow_expired or secret.allow_expired,
        accept_untrusted=own.accept_untrusted or secret.accept_untrusted,
    )
