# Read by `flask` in a checkout; an installed store is told by its environment.
FLASK_APP=tokenstore
TOKENSTORE_SETTINGS=settings.py
