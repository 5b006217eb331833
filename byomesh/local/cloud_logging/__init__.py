"""Cloud Logging as far as it is used: every audit entry of the local GKE, every line of the functions, and a query."""
