"""Scripts are run, not imported: they need libraries that may be missing."""

collect_ignore_glob = ["*.py"]
