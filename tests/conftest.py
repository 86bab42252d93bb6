"""What every test has: no example of a property is judged by the clock.

How long one example takes says how busy the machine is, above all with several workers. What must
be quick is held to counts and sizes in its own test; what hangs, to the time limit of each test.
"""

from hypothesis import HealthCheck, settings

settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
