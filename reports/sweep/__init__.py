"""Sweeps: lists of cells given as strings and numbers, computed on one machine or many, kept line by line, merged by concatenation."""
