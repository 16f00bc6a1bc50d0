"""The only door to identity providers: transport, metadata, keys, requests, answers and the tokens they sign.

Everything a provider sends is foreign: it is capped, parsed strictly and turned into a value of `core.model` here,
or refused. No other package opens a connection to a provider or reads one's answer.
"""
