"""What curvature costs: implementations of the same task, verified, counted and timed side by side."""
