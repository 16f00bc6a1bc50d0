"""The parts of the composition root, put together by `app`. Each is a value that is made once, at the start.

    adapters    settings -> what speaks to the database, and the spool
    providers   settings -> the only door to providers
    shared      adapters and providers -> what requests and keeper both work with
    services    all of these -> what views call
    operations  all of these -> the keeper, and what commands do with the spool
    callers     all of these -> who may come in

Nothing is opened, called or read here. Whoever wants another adapter in place of one of ours gives `app.assemble` a
function that makes these values and replaces a field of them.
"""
