"""The local cloud: GKE, Eventarc, Pub/Sub, Cloud Tasks and Secret Manager on loopback, with real clusters behind."""
