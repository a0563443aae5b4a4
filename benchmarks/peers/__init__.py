"""Side by side with another simulator, in an environment of its own: `make peer`."""
