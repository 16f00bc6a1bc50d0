"""The rules of the store: values, ports and services, with no input or output of their own.

Imports nothing but the standard library and `tokenstore.errors`.
"""
