"""Checks without a (P, P) array: what products and few exact entries say of a matrix, and what they cannot see."""
