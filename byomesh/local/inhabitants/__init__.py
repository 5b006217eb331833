"""What would run inside a local cluster and be called by its API server: Linkerd's webhooks, and viz's tap API.

No container runs here, so one small HTTPS server a cluster answers in their place: for a Service only while a pod
behind it is ready, and with the very certificate that the cluster's Secret holds. A webhook whose caBundle doesn't
match fails in its TLS handshake, and one that is scaled down isn't reached, both as in a real cluster.
"""

from byomesh.local.inhabitants.server import Inhabitants

__all__ = ["Inhabitants"]
