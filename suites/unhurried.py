"""How the property-based tests run, also where no profile of Hypothesis is loaded."""

from hypothesis import HealthCheck, settings

# torch takes long the first time, which is no failure; the number of examples is the profile's
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
