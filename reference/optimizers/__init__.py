"""Optimisers that precondition with a curvature matrix."""
