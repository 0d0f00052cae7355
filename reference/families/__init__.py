"""Families of distributions: their Fisher information, natural gradients and duals."""
