"""Problems, claims and the suites that join them."""
