"""What runs on an operator's machine: the `byomesh` command and the local cloud."""
