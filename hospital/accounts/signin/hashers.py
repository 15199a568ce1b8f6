"""How passwords are kept."""

from django.contrib.auth.hashers import Argon2PasswordHasher


class Argon2(Argon2PasswordHasher):
    """Argon2id with OWASP's second set of costs: 19 MiB, two passes, one lane.

    Django's own take 100 MiB each: eight people at the door of one process would take 800.
    """

    memory_cost = 19_456
    time_cost = 2
    parallelism = 1
