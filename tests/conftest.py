"""What all tests share: the databases and the rule about skips. Helpers live in `tests/support`."""

pytest_plugins = ["support.postgres", "support.skips", "support.store"]
