"""What is particular to Linkerd: its networks, certificates and checks; pure, with the clock passed in."""
