"""The authority: from a caller and a request to a chain; and the control plane's own certificate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from .callers import AuthorityError, Caller
from .issuing import Material, key_pem, pem_of, sign
from .requests import judged
from .rotating import Keeper, Step

DAY_S = 86_400.0
MOST_S = 90 * DAY_S
"""istiod's MAX_WORKLOAD_CERT_TTL."""

SERVER_NAMES = ("localhost", "istiod.istio-system.svc", "istiod.istio-system.svc.cluster.local", "127.0.0.1", "::1")
"""What the control plane's own certificate is for, whatever it is called."""


class Authority:
    """Signs for callers. Safe from all threads.

    `trust_domain` is asked for each certificate (MeshConfig may change). `lifetime_s` counts where a request wishes for
    none, `most_s` is the most that it may wish for.
    """

    def __init__(
        self,
        keeper: Keeper,
        clock: Callable[[], float],
        trust_domain: Callable[[], str] = lambda: "cluster.local",
        *,
        lifetime_s: float = DAY_S,
        most_s: float = MOST_S,
    ) -> None:
        self._keeper = keeper
        self._clock = clock
        self._trust_domain = trust_domain
        self._lifetime_s = min(lifetime_s, most_s)
        self._most_s = most_s
        self._lock = Lock()
        self._server: tuple[Material, float, bytes, bytes] | None = None

    def create(self, caller: Caller, request: bytes, wished_s: float = 0.0) -> tuple[str, ...]:
        """The chain for a request (PEM): leaf first, then what is between, all roots last.

        Raises:
            AuthorityError: the request is refused, or nothing can be signed.
        """
        key = judged(request)
        if wished_s > self._most_s:
            raise AuthorityError(
                f"a lifetime of {wished_s:.0f} s is asked for; {self._most_s:.0f} s are the most", "INVALID_ARGUMENT"
            )
        lifetime_s = wished_s if wished_s > 0 else self._lifetime_s
        material = self._keeper.current()
        names = [caller.identity(self._trust_domain())]
        return material.chain(sign(material.signer, key, names, self._clock(), lifetime_s))

    def identity(self, caller: Caller) -> str:
        """What its certificate says."""
        return caller.identity(self._trust_domain())

    def bearer_of(self, certificate: bytes) -> Caller:
        """Whom a certificate (PEM) is for that a handshake has verified by this authority's roots.

        Raises:
            AuthorityError: it names no workload of this trust domain.
        """
        domain = self._trust_domain()
        try:
            names = x509.load_pem_x509_certificate(certificate).extensions
            said = names.get_extension_for_class(x509.SubjectAlternativeName).value
            (uri,) = said.get_values_for_type(x509.UniformResourceIdentifier)
            _, _, host, ns, namespace, sa, account = uri.split("/")
            caller = Caller(namespace, account)
        except (ValueError, x509.ExtensionNotFound):
            raise AuthorityError("the certificate names no workload", "UNAUTHENTICATED") from None
        if (ns, sa) != ("ns", "sa") or uri != caller.identity(host) or host != domain:
            raise AuthorityError(f"the certificate names no workload of {domain}", "UNAUTHENTICATED")
        return caller

    @property
    def roots(self) -> bytes:
        """What workloads verify each other, and the control plane, by: PEM. Raises AuthorityError."""
        return "".join(map(pem_of, self._keeper.current().roots)).encode()

    def server_pair(self, names: Sequence[str] = ()) -> tuple[bytes, bytes]:
        """(private key, chain) of the control plane's own server, made anew at half of its life and with every root.

        Raises:
            AuthorityError: it cannot be signed.
        """
        material, now = self._keeper.current(), self._clock()
        with self._lock:
            held = self._server
            if held is None or held[0] is not material or now >= held[1]:
                key = ec.generate_private_key(ec.SECP256R1())
                wanted = dict.fromkeys((*SERVER_NAMES, *names))
                leaf = sign(material.signer, key.public_key(), wanted, now, self._lifetime_s, client=False)
                chain = "".join(map(pem_of, (leaf, *material.signer.between))).encode()
                held = self._server = (material, _half(leaf, now), key_pem(key), chain)
            return held[2], held[3]

    def rotate(self, step: Step) -> None:
        """A step from one root to the next. Raises RotationError where it is not due."""
        self._keeper.rotate(step, self._clock())


def _half(leaf: x509.Certificate, now: float) -> float:
    return (now + leaf.not_valid_after_utc.timestamp()) / 2
