"""`proxyless doctor`: what stands between a process and its mesh, each finding with what to do about it.

* `here` looks at this process' place: environment, token, root certificate, control plane, clock, versions, sidecars;
  `credentials`, `reaching`, `clock`, `versions`, `sidecar` and `served` are its parts.
* `there` looks at a Pod through an API server, or at a folder: what it was given, and which modes of mTLS would break.

The rule that holds it together: a finding says what was seen, not what might be; what cannot be seen from here is
`unknown` and says from where it can. Nothing is changed, and no token or key is in a text.
"""
