"""The ledger of findings: a TOML file a library, the cells that they explain, and scripts that need no fishergauge."""
