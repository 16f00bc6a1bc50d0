"""The settings of the store: where they come from, what they have to be, and how they are shown.

The table itself is `table.Settings`, the rows of a provider are `providers.settings`. Everything below this package
gets settings as values; nothing reads them from here.
"""

from tokenstore.config.loading import Examined, Loaded, examine, load
from tokenstore.config.pages import dump, reference
from tokenstore.config.table import Settings

__all__ = ["Examined", "Loaded", "Settings", "dump", "examine", "load", "reference"]
