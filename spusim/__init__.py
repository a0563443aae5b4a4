"""spusim."""
