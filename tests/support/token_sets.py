"""Any token set that a provider may have given, for tests of what must hold for all of them."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import strategies as st

from tokenstore.core.model import TokenSet
from tokenstore.core.secret import Secret

texts = st.text(st.characters(exclude_categories=()), max_size=20)
secrets = st.builds(Secret, texts)
scopes = st.frozensets(texts, max_size=3)
_durations = st.none() | st.integers(0, 10**7).map(lambda number: timedelta(seconds=number))

FIELDS: dict[str, st.SearchStrategy[object]] = {
    "access_token": secrets,
    "expires_in": _durations,
    "refresh_token": st.none() | secrets,
    "refresh_expires_in": _durations,
    "refresh_never_expires": st.booleans(),
    "scopes": st.none() | scopes,
    "extra": st.dictionaries(texts, st.none() | st.booleans() | st.integers() | texts, max_size=3),
    "others": st.dictionaries(texts, st.builds(TokenSet, access_token=secrets, expires_in=_durations), max_size=2),
}
"""By field; there is no ID token, which is not kept."""

token_sets = st.builds(TokenSet, **FIELDS)
