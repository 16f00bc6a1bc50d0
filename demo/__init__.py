"""The demo: strict identity providers as real servers on loopback, and a scripted person who visits them.

Not part of the wheel. The tests use the same providers, over real HTTP.
"""
