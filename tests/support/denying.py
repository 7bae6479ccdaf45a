"""Authorization policies of a test: paths that nobody may have."""

from __future__ import annotations

import json


def denying(*paths: str, namespace: str = "default", app: str = "") -> str:
    """A document of YAML; without `app` it is about all workloads of the namespace."""
    selector = f"\n  selector: {{matchLabels: {{app: {app}}}}}" if app else ""
    return f"""---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: denying, namespace: {namespace}}}
spec:{selector}
  action: DENY
  rules: [{{to: [{{operation: {{paths: {json.dumps(paths)}}}}}]}}]
"""
