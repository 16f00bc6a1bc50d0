"""One refresh of one link, which never loses a refresh token. Read `refresher` first, from `bring` down.

    errand      what a flight is to bring home, and the clock it goes by
    obstacles   why a link cannot be refreshed now, and the errors that say so
    refresher   lease, provider call, and what each outcome means for the link
    unreturned  leases that the database may hold without a use
    tenure      how long a lease surely lasts, and until when calls may begin under it
    calling     the provider call with its repetitions
    keeping     the answer into the spool and behind the fence into the database
    recovery    answers that a dead process left in the spool

The protocol, with its diagrams and what it can and cannot promise, is explained in `docs/explanation`.
"""

from tokenstore.core.refresh.calling import Calling
from tokenstore.core.refresh.errand import Errand, Timing
from tokenstore.core.refresh.keeping import Keeping, Superseded
from tokenstore.core.refresh.obstacles import back_off, obstacle
from tokenstore.core.refresh.recovery import Recovery, Replayed
from tokenstore.core.refresh.refresher import Refresher

__all__ = [
    "Calling",
    "Errand",
    "Keeping",
    "Recovery",
    "Refresher",
    "Replayed",
    "Superseded",
    "Timing",
    "back_off",
    "obstacle",
]
