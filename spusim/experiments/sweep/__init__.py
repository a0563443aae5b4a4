"""Sweeps: from a sweep file to points, run them anywhere, and keep what they say."""
