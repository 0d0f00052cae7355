"""Experiments with the generalised Gauss-Newton matrix: vector field, Jacobian, posterior, nonlinear model."""
