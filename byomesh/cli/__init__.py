"""The `byomesh` command."""
