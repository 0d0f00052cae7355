"""Problems of 1e4 to 1e7 parameters, for subjects that multiply and never form a (P, P) array."""
