"""Which account a user may link: `<ID>_ACCOUNT_MATCH`, a pure decision."""

from __future__ import annotations

from tokenstore.core.model import Account, Profile, Provider
from tokenstore.errors import AccountMismatch


def check_account(provider: Provider, user: Profile, account: Account) -> None:
    """Raise AccountMismatch unless the provider's policy allows `user` to link `account`.

    auto: the same subject where the provider's issuer is the login issuer, any elsewhere; sub: equal subjects; email:
    verified addresses at both sides that are equal; any: every account. E-mail is a gate only, it never identifies.
    """
    if not allowed(provider.account_match, user, account):
        raise AccountMismatch(
            f"You are logged in as {shown(user.name, user.email, user.identity.subject)}, but the provider says "
            f"{shown(account.name, account.email, account.subject)}. Log out there and link your own account."
        )


def allowed(match: str, user: Profile, account: Account) -> bool:
    """Whether the policy `match` lets this user link this account; unknown policies do not."""
    if match == "any":
        return True
    if match == "auto":
        return account.issuer != user.identity.issuer or account.subject == user.identity.subject
    if match == "sub":
        return account.subject == user.identity.subject
    if match == "email":
        if not (user.email and account.email and user.email_verified and account.email_verified):
            return False
        return folded(user.email) == folded(account.email)
    return False


def folded(address: str) -> str:
    """An e-mail address with its domain in lower case; the local part is kept (RFC 5321 section 2.4)."""
    local, _, domain = address.rpartition("@")
    return f"{local}@{domain.lower()}"


def shown(name: str | None, email: str | None, subject: str) -> str:
    """How an account is named to a person."""
    return " ".join(part for part in (name, f"<{email}>" if email else None) if part) or subject
