"""Experiments, the ledger of claims, figures, and the command line."""
