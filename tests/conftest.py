"""What every suite shares."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# A busy machine is slow; that is no fault of the code under test.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")
