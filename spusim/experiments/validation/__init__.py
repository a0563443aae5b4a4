"""Our figures beside published ones."""
