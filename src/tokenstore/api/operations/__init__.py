"""Every operation of the HTTP interface, described: what goes in, what comes out, what may go wrong.

A test compares them with the routes and with real answers. Pages for people are not among them.
"""

from tokenstore.api.operations import around, linking, listing, people, tokens

OPERATIONS = (
    *people.OPERATIONS,
    *listing.OPERATIONS,
    *linking.OPERATIONS,
    *tokens.OPERATIONS,
    *around.OPERATIONS,
)
