"""What the servers for pictures have in common: the limits on what comes from outside."""
