"""Sweeps: lists of cells given as strings and numbers, computed on one machine or many, kept as lines that can be merged."""
