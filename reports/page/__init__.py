"""The report as a page: parts collected from the artefacts of runs, and what is made of them. Nothing is measured here."""
