"""The keeper: what has to be done although nobody asks. Read `making` first.

    making      which chores there are, and how often each is done
    chores      the small ones: what is owed, spool, usage, purge, depths
    refreshing  links looked after, provider by provider
    loop        each chore in its own rhythm, none held up by another, until told to stop
    process     the loop beside the requests of a serving process, or alone

Many keepers may run at once: work is claimed in the database, by the lease that every refresh takes.
"""
