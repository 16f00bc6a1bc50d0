"""What all tests share: the databases, the rule about skips, and hypothesis without a stopwatch."""

from hypothesis import settings

pytest_plugins = ["support.postgres", "support.redis_server", "support.reference", "support.skips", "support.store"]

# A busy machine is no reason to fail: nothing is timed by a test.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
