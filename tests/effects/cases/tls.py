"""TLS to endpoints (envoy.extensions.transport_sockets.tls.v3), by handshakes with servers in memory."""

from __future__ import annotations

from base64 import b64encode
from datetime import timedelta
from hashlib import sha256
from ssl import OP_NO_RENEGOTIATION, PEM_cert_to_DER_cert, TLSVersion
from typing import Any

from ..handshakes import (
    CA,
    CLIENT,
    DAY,
    OTHER,
    SERVER,
    Server,
    contexts,
    refused,
    resumed,
    shaken,
    written,
)
from ..registry import Effect, effect
from ..resources import Json, Shop, endpoint, extension, shop
from ..scene import Scene
from ..seeing import See

TLS = "envoy.extensions.transport_sockets.tls.v3."
UPSTREAM = TLS + "UpstreamTlsContext"
COMMON = TLS + "CommonTlsContext."
COMBINED = COMMON + "CombinedCertificateValidationContext."
VALIDATION = TLS + "CertificateValidationContext."
SPIFFE = TLS + "SPIFFECertValidatorConfig"
ADS: Json = {"ads": {}}


def secured(common: Json | None = None, address: Json | None = None, **fields: Any) -> Shop:
    """Cluster `a` with one endpoint, spoken to by TLS."""
    socket = extension(UPSTREAM, common_tls_context=common or {}, **fields)
    asked = endpoint()
    asked["endpoint"].update(address or {})
    return shop(cluster_fields={"transport_socket": socket}, endpoints=[asked])


def inline(pem: bytes) -> Json:
    """A DataSource."""
    return {"inline_string": pem.decode()}


def sources(name: str, pem: bytes) -> dict[str, Json]:
    """The three ways to say the same, by their fields."""
    return {
        "filename": {"filename": written(name, pem)},
        "inline_bytes": {"inline_bytes": b64encode(pem).decode()},
        "inline_string": inline(pem),
    }


# -- who the other side may be -------------------------------------------------------------------------------------

TRUSTED = inline(CA.pem)
ACCEPTED = ""
UNKNOWN = "unable to get local issuer certificate"


def stranger() -> Server:
    """One that another authority vouches for."""
    return Server(OTHER.leaf("spiffe://cluster.local/ns/shop/sa/a", dns=("a.shop",), ends=DAY))


def verified(**validation: Any) -> Shop:
    """By an authority, and by more."""
    return secured({"validation_context": {"trusted_ca": TRUSTED, **validation}})


def domains(*found: Json) -> Json:
    """The validator by trust domains."""
    return extension(SPIFFE, "envoy.tls.cert_validator.spiffe", trust_domains=list(found))


def by_domain(**domain: Any) -> Shop:
    own = {"name": "cluster.local", "trust_bundle": TRUSTED, **domain}
    return secured({"validation_context": {"custom_validator_config": domains(own)}})


ELSEWHERE = by_domain(name="other.domain")


def why(server: Any = Server) -> See:
    """The last words of a refusal; empty where the connection comes about."""
    return lambda scene: refused(server)(scene).rpartition(": ")[2]


BELOW = CA.intermediate(ends=DAY)
LEAF = BELOW.leaf("spiffe://cluster.local/ns/shop/sa/a", ends=DAY)
EXPIRED = CA.leaf("spiffe://cluster.local/ns/shop/sa/a", starts=-2 * DAY, ends=-timedelta(hours=1))
REVOKED = CA.revoked(SERVER, ends=DAY)
OF_LEAVES = BELOW.revoked(ends=DAY)
NOBODY = {"exact": "spiffe://cluster.local/ns/shop/sa/b"}
WRONG = b64encode(sha256(b"").digest()).decode()
PEER: list[Effect] = [
    effect(COMMON + "validation_context", verified(), why(stranger), UNKNOWN),
    *(
        effect(f"{VALIDATION}trusted_ca{below}", verified(trusted_ca=source), why(stranger), UNKNOWN)
        for below, source in {
            "": TRUSTED,
            **{f".{field}": each for field, each in sources("roots.pem", CA.pem).items()},
        }.items()
    ),
    effect(
        VALIDATION + "system_root_certs",
        secured({"validation_context": {"system_root_certs": {}}}),
        lambda scene: bool(refused()(scene)),
        True,
    ),
    effect(
        VALIDATION + "match_subject_alt_names",
        verified(match_subject_alt_names=[NOBODY]),
        refused(),
        f"client: expected {NOBODY['exact']}, presented spiffe://cluster.local/ns/shop/sa/a, a.shop, shop",
    ),
    effect(
        VALIDATION + "match_typed_subject_alt_names",
        verified(match_typed_subject_alt_names=[{"san_type": "URI", "matcher": NOBODY}]),
        refused(),
    ),
    effect(
        TLS + "SubjectAltNameMatcher.matcher",
        verified(match_typed_subject_alt_names=[{"san_type": "URI", "matcher": {"prefix": "spiffe://"}}]),
        refused(),
        ACCEPTED,
        against=verified(match_typed_subject_alt_names=[{"san_type": "URI", "matcher": NOBODY}]),
    ),
    effect(
        TLS + "SubjectAltNameMatcher.san_type",
        verified(match_typed_subject_alt_names=[{"san_type": "URI", "matcher": {"exact": "a.shop"}}]),
        lambda scene: bool(refused()(scene)),
        True,
        against=verified(match_typed_subject_alt_names=[{"san_type": "DNS", "matcher": {"exact": "a.shop"}}]),
    ),
    effect(VALIDATION + "verify_certificate_hash", verified(verify_certificate_hash=["ab" * 32]), refused()),
    effect(VALIDATION + "verify_certificate_spki", verified(verify_certificate_spki=[WRONG]), refused()),
    *(
        effect(f"{VALIDATION}crl{below}", verified(crl=source), why(), "certificate revoked")
        for below, source in {
            "": inline(REVOKED),
            **{f".{field}": each for field, each in sources("revoked.pem", REVOKED).items()},
        }.items()
    ),
    effect(
        VALIDATION + "only_verify_leaf_cert_crl",
        verified(crl=inline(OF_LEAVES), only_verify_leaf_cert_crl=True),
        why(lambda: Server(LEAF)),
        ACCEPTED,
    ),
    effect(
        VALIDATION + "allow_expired_certificate",
        verified(allow_expired_certificate=True),
        why(lambda: Server(EXPIRED)),
        ACCEPTED,
    ),
    effect(
        VALIDATION + "trust_chain_verification",
        verified(trust_chain_verification="ACCEPT_UNTRUSTED"),
        why(stranger),
        ACCEPTED,
    ),
    effect(VALIDATION + "custom_validator_config", by_domain(), why(stranger), UNKNOWN),
    effect(SPIFFE + ".trust_domains", by_domain(), refused(), ACCEPTED, against=ELSEWHERE),
    effect(SPIFFE + ".TrustDomain.name", by_domain(), refused(), ACCEPTED, against=ELSEWHERE),
    *(
        effect(
            f"{SPIFFE}.TrustDomain.trust_bundle{below}",
            by_domain(trust_bundle=source),
            refused(),
            ACCEPTED,
            against=by_domain(trust_bundle=inline(OTHER.pem)),
        )
        for below, source in {
            "": TRUSTED,
            **{f".{field}": each for field, each in sources("bundle.pem", CA.pem).items()},
        }.items()
    ),
]

# -- secrets by name -----------------------------------------------------------------------------------------------

AGENT: Json = {"api_config_source": {"api_type": "GRPC", "cluster_names": ["sds-grpc"]}}
ROOTS: Json = {"name": "ROOTCA", "sds_config": AGENT}
OWN: Json = {"name": "default", "sds_config": AGENT}


def combined(**default: Any) -> Shop:
    """Roots by name, and what else is asked for."""
    return secured(
        {
            "combined_validation_context": {
                "validation_context_sds_secret_config": ROOTS,
                "default_validation_context": default,
            }
        }
    )


BY_NAME: list[Effect] = [
    effect(
        COMMON + "validation_context_sds_secret_config",
        secured({"validation_context_sds_secret_config": ROOTS}),
        why(stranger),
        UNKNOWN,
    ),
    effect(
        COMMON + "combined_validation_context",
        combined(),
        why(stranger),
        UNKNOWN,
    ),
    effect(
        COMBINED + "validation_context_sds_secret_config",
        combined(),
        why(stranger),
        UNKNOWN,
    ),
    effect(
        COMBINED + "default_validation_context",
        combined(match_subject_alt_names=[NOBODY]),
        refused(),
        f"client: expected {NOBODY['exact']}, presented spiffe://cluster.local/ns/shop/sa/a, a.shop, shop",
    ),
    effect(
        COMMON + "tls_certificate_sds_secret_configs",
        secured({"tls_certificate_sds_secret_configs": [OWN]}),
        shaken(Server, "refused", "shown"),
    ),
    effect(
        TLS + "SdsSecretConfig.name",
        secured({"tls_certificate_sds_secret_configs": [OWN]}),
        refused(),
        ACCEPTED,
        against=secured({"tls_certificate_sds_secret_configs": [{**OWN, "name": "another"}]}),
    ),
    effect(
        TLS + "SdsSecretConfig.sds_config",
        secured(
            {
                "tls_certificate_sds_secret_configs": [
                    {"name": "default", "sds_config": {"path_config_source": {"path": "/etc/secret.yaml"}}}
                ]
            }
        ),
        refused(),
        "insecure: secret 'default' is in a file '/etc/secret.yaml' of discovery responses: not read",
    ),
    effect(
        TLS + "SdsSecretConfig.sds_config.ads",
        secured({"tls_certificate_sds_secret_configs": [{"name": "default", "sds_config": ADS}]}),
        refused(),
        "insecure: the control plane: no secret 'default' has come that can be used",
    ),
]

# -- who we are ----------------------------------------------------------------------------------------------------

CERTIFICATE = TLS + "TlsCertificate."


def showing(**fields: Any) -> Shop:
    """A certificate that stands in the configuration."""
    own = {"certificate_chain": inline(CLIENT.chain), "private_key": inline(CLIENT.key), **fields}
    return secured({"tls_certificates": [own]})


OURS = PEM_cert_to_DER_cert(CLIENT.chain.decode())
SHOWN = shaken(Server, "shown")
SELF: list[Effect] = [
    effect(COMMON + "tls_certificates", showing(), SHOWN, (OURS,)),
    *(
        effect(f"{CERTIFICATE}{field}{below}", showing(**{field: source}), SHOWN, (OURS,))
        for field, pem in (("certificate_chain", CLIENT.chain), ("private_key", CLIENT.key))
        for below, source in {
            "": inline(pem),
            **{f".{way}": each for way, each in sources(f"{field}.pem", pem).items()},
        }.items()
    ),
]

# -- how it is spoken ----------------------------------------------------------------------------------------------


def renegotiates(scene: Scene) -> bool | str:
    """Whether the other side may begin another handshake."""
    client = contexts(scene)
    return client if isinstance(client, str) else not client().context.options & OP_NO_RENEGOTIATION


def old() -> Server:
    """One that speaks TLS 1.2 alone."""
    made = Server()
    made.context.maximum_version = TLSVersion.TLSv1_2
    return made


def parameters(**fields: Any) -> Shop:
    return secured({"tls_params": fields})


VERSION = shaken(Server, "version")
NEWEST: Json = {"tls_maximum_protocol_version": "TLSv1_3"}
SPOKEN: list[Effect] = [
    effect("envoy.config.cluster.v3.Cluster.transport_socket", secured(), shaken(), against=shop()),
    effect(UPSTREAM + ".common_tls_context", secured({"alpn_protocols": ["h2"]}), shaken(Server, "alpn"), ("h2",)),
    effect(COMMON + "alpn_protocols", secured({"alpn_protocols": ["h2"]}), shaken(Server, "alpn"), ("h2",)),
    effect(COMMON + "tls_params", parameters(**NEWEST), VERSION, ("TLSv1.3",)),
    effect(TLS + "TlsParameters.tls_maximum_protocol_version", parameters(**NEWEST), VERSION, ("TLSv1.3",)),
    effect(
        TLS + "TlsParameters.tls_minimum_protocol_version",
        parameters(**NEWEST, tls_minimum_protocol_version="TLSv1_3"),
        lambda scene: bool(refused(old)(scene)),
        True,
    ),
    effect(
        TLS + "TlsParameters.cipher_suites",
        parameters(cipher_suites=["ECDHE-ECDSA-CHACHA20-POLY1305"]),
        shaken(Server, "cipher"),
        ("ECDHE-ECDSA-CHACHA20-POLY1305",),
    ),
    effect(UPSTREAM + ".sni", secured(sni="b.shop"), shaken(Server, "sni"), ("b.shop",)),
    effect(
        UPSTREAM + ".auto_host_sni",
        secured(address={"hostname": "its.own"}, sni="b.shop", auto_host_sni=True),
        shaken(Server, "sni"),
        ("its.own",),
    ),
    effect(
        UPSTREAM + ".auto_sni_san_validation",
        secured({"validation_context": {"trusted_ca": TRUSTED}}, sni="b.shop", auto_sni_san_validation=True),
        refused(),
        "client: expected b.shop, presented spiffe://cluster.local/ns/shop/sa/a, a.shop, shop",
    ),
    effect(UPSTREAM + ".max_session_keys", secured(max_session_keys=0), resumed((1, 1)), [[False], [False]]),
    effect(UPSTREAM + ".max_session_keys", secured(max_session_keys=2), resumed((2, 2)), what="two"),
    effect(UPSTREAM + ".allow_renegotiation", secured(allow_renegotiation=True), renegotiates, True),
]

CASES: list[Effect] = [*PEER, *BY_NAME, *SELF, *SPOKEN]
