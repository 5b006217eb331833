"""A fleet as people see it: what GKE lists, the log tells and the policy decides, made one picture."""
