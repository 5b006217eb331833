"""The GKE API of the local cloud: google.container.v1.ClusterManager with its operations and their audit entries."""
