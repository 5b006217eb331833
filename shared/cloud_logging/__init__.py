"""The only door to Cloud Logging (google-cloud-logging): who did what to a cluster, and what the functions said."""

from shared.cloud_logging.api import CloudLogging, cloud_logging
from shared.cloud_logging.entries import AuditEntry, LogLine, merged

__all__ = ["AuditEntry", "CloudLogging", "LogLine", "cloud_logging", "merged"]
