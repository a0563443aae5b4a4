"""The one base of every error that spusim raises on purpose."""


class SpusimError(Exception):
    """A mistake in what the user brought; the message names thing, value, rule and remedy."""
