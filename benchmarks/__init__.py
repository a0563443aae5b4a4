"""Measurements: speed (`python -m benchmarks.speed`) and the shipped network's making (`kws`)."""
