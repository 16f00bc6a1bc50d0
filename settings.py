"""Settings of a checkout on one's own machine, read by `flask` because `.flaskenv` names this file.

The store makes the keys it lacks in `instance/` and starts without a login provider. To log in, name one here, in the
environment as TOKENSTORE_OIDC_… or in a file `.env`; `make demo` brings one of its own.
"""

DEVELOPMENT = True
PUBLIC_URL = "http://127.0.0.1:5000"
