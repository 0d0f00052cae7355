"""Experiments of a course on natural gradients, and the verdicts on its statements."""
