"""What a control plane on a cluster does beside serving xDS: it checks what others write, and writes a little itself.

* `webhook` answers AdmissionReviews over TLS: every replica does.
* `leading` says which replica writes; `duties` does so: `publishing` root certificates, `statuses` what became of
  routes, `objects` why one of Istio's objects is refused.

The rule that holds it together: nothing is written that nobody asked for, and of what others own nothing is changed.
"""
