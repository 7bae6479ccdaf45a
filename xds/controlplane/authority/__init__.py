"""The development authority: certificates for workloads from the embedded control plane, as istiod gives them.

    authorization: Bearer ... -> Authenticator -> Caller ─┐
    CSR -> judged: readable, signed, a key that is fit ───┴─> Authority.create -> leaf, ..., roots

* `issuing` is the authority's material and what it signs; `rotating` how a root follows another; `directory` keeps both
  in files as Istio's `cacerts`.
* `requests` judges what a workload sends; `callers` says who it is, by a table of tokens (`tokens`), by Kubernetes
  (`kubernetes`).
* `service` is istio.v1.auth.IstioCertificateService over bytes; the control plane's server offers it beside ADS.

The rule that holds it together: the names in a certificate are the caller's, whatever the request says; of a request
only its public key and the wish for a lifetime count. Who is not known is refused.

It is for laptops and tests: its key lies in memory or in a file, and whoever reads that is everybody.
"""
