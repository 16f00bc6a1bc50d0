"""Who is asking: sessions, bearer tokens, and logging in at the login provider."""
