"""The report of a sweep or run: one HTML file that needs no network."""
