"""Noise that hides single patients in a model: secret draws, clipped steps, plans, figures."""
