"""How long Linkerd's certificates live, and how long before their end they are replaced; read by every room.

`linkerd check` warns 60 days before an end (linkerd2 pkg/issuercerts/issuercerts.go). What is renewed by itself is
renewed so early that an automation which is dead for 30 days, whenever it dies, still comes back before that warning.
"""

from __future__ import annotations

import datetime as dt

ANCHOR_LIFETIME = dt.timedelta(days=3_650)
ISSUER_LIFETIME = dt.timedelta(days=365)
SERVING_LIFETIME = dt.timedelta(days=3_650)
LEAF_LIFETIME = dt.timedelta(hours=24)
"""A proxy's own certificate (the chart's identity.issuer.issuanceLifetime)."""
ISSUER_THRESHOLD = dt.timedelta(days=120)
"""An issuer with less time left is replaced: 60 days of Linkerd's warning, 30 of a dead automation, 30 to spare."""
SERVING_THRESHOLD = dt.timedelta(days=365)
"""A serving certificate with less time left is replaced."""
PREDECESSOR_THRESHOLD = dt.timedelta(days=180)
"""A replaced one with less time left leaves the caBundle, for Linkerd's check fails on one that expires in it."""
ANCHOR_THRESHOLD = dt.timedelta(days=730)
"""From here on an anchor's end is reported: nobody replaces one without being asked, and no issuer outlives it."""
