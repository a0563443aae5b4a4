"""Silero VAD on real speech: probabilities of PyTorch's floats and of the simulated integers."""
