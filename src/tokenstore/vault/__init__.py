"""Sealing: nothing secret reaches the database readable, and nothing sealed opens anywhere but in its own row.

`envelope` is the format, `kek` the key above the data keys, `keyring` the data keys, `vault` what the stores use.
Knows nothing of tables beyond their names; the rows of `vault_key` come through a port.
"""
