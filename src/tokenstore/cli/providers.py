"""`flask tokenstore providers …`: what there is, whether it works, and what is known of some."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import click

from tokenstore.cli.failing import failure
from tokenstore.cli.opening import open_store
from tokenstore.cli.renaming import rename
from tokenstore.cli.resuming import quarantine, resume
from tokenstore.cli.standing import Standing, standing_of
from tokenstore.config import Examined, examine
from tokenstore.config.names import owner
from tokenstore.config.sources import PREFIX
from tokenstore.core.model import LOGIN_PROVIDER, LinkState, Provider, ProviderId
from tokenstore.errors import TokenStoreError
from tokenstore.providers.addresses import AddressPolicy
from tokenstore.providers.checkup import judge
from tokenstore.providers.findings import Finding, Verdict, shown
from tokenstore.providers.looking import look
from tokenstore.providers.placeholders import names_of
from tokenstore.providers.presets import PRESETS, Preset
from tokenstore.providers.settings import ProviderSettings, prefix
from tokenstore.providers.transport import Timeouts, Transport
from tokenstore.store.provider_admin import ProviderAdmin
from tokenstore.store.provider_facts import Seen, SqlProviderFacts

_TIMEOUTS = Timeouts(connect=3.0, read=5.0, deadline=8.0)
_AT_ONCE = 8


@click.group()
def providers() -> None:
    """Look at providers, check and rename them, put them into quarantine and end it."""


providers.add_command(quarantine)
providers.add_command(rename)
providers.add_command(resume)


@providers.command()
@click.argument("provider_id", metavar="[ID]", required=False)
def check(provider_id: str | None) -> None:
    """Look at one provider, or at all, and say what is right and wrong.

    ID is one of TOKEN_PROVIDERS, or oidc for the login provider. Reads its metadata and keys and asks whether its token
    endpoint is there, and the database whether it is in quarantine; no credentials are sent and nothing is stored. Each
    line begins with ok, warning or problem. Exits with 1 if there is a problem.
    """
    seen = examine()
    ids = _ids(seen)
    if provider_id is not None and provider_id not in ids:
        raise click.BadParameter(f"there is no provider {provider_id!r}, only {', '.join(ids)}", param_hint="ID")
    counts: Counter[Verdict] = Counter()
    wanted = [one for one in ids if provider_id in (None, one)]
    for one, findings in zip(wanted, _findings(seen, wanted, ids), strict=True):
        click.echo(one)
        for finding in findings:
            click.echo(f"  {finding}")
            counts[finding.verdict] += 1
    problems, warnings = counts[Verdict.PROBLEM], counts[Verdict.WARNING]
    click.echo(f"{_counted(len(wanted), 'provider')}: {_counted(problems, 'problem')}, {_counted(warnings, 'warning')}")
    if others := [text for text in seen.problems if _about(text, ids) is None]:
        text = f"the other settings have {_counted(len(others), 'problem')}, see: flask tokenstore config check"
        click.echo(text, err=True)
    if problems:
        raise click.exceptions.Exit(1)


@providers.command(name="list")
def list_() -> None:
    """List the token providers, one a line.

    Id, kind, preset, name, number of links by state, what was seen of it in use, and what has to be looked at (in
    quarantine, or linked with another client id), separated by tabs. A provider that has links and is not among
    TOKEN_PROVIDERS any more has the kind "not configured".
    """
    with open_store() as store:
        try:
            links = ProviderAdmin(store.database).links()
            facts = SqlProviderFacts(store.database).seen()
            standing = Standing.read(store.database)
        except TokenStoreError as error:
            raise failure(error) from None
    presets = _presets(examine())
    for provider in store.loaded.providers:
        what = (provider.kind.value, presets.get(provider.id) or "-", shown(provider.metadata.name or "-"))
        found = (_links(links.get(provider.id, {})), _facts(provider.id, facts))
        click.echo("\t".join((provider.id, *what, *found, standing.in_words(provider.id, provider))))
    for left in sorted(set(links) - {provider.id for provider in store.loaded.providers}):
        found = (_links(links[left]), _facts(left, facts))
        click.echo("\t".join((left, "not configured", "-", "-", *found, standing.in_words(left, None))))


@providers.command()
def presets() -> None:
    """List the presets: what each sets, what it needs, and where its facts come from."""
    for name, preset in PRESETS.items():
        click.echo(name)
        click.echo(f"  sets   {', '.join(preset.rows)}")
        click.echo(f"  needs  {', '.join(_needs(preset))}")
        for page in preset.pages:
            click.echo(f"  facts  {page.title}{f' ({page.part})' if page.part else ''}: {page.address}")
        click.echo(f"  read   {preset.read}")


def _findings(seen: Examined, wanted: Sequence[ProviderId], ids: tuple[ProviderId, ...]) -> Sequence[Sequence[Finding]]:
    policy = AddressPolicy(seen.settings.allow_private_hosts)
    transport = Transport(policy, ca_bundle=seen.settings.ca_bundle or None, timeouts=_TIMEOUTS)
    usable = {provider.id: provider for provider in (seen.login, *seen.providers) if provider}
    standing = standing_of(seen)

    def findings(one: ProviderId) -> Sequence[Finding]:
        problems = [Finding(Verdict.PROBLEM, text) for text in seen.problems if _about(text, ids) == one]
        warnings = [Finding(Verdict.WARNING, text) for text in seen.warnings if _about(text, ids) == one]
        provider = usable.get(one)
        if provider is None:
            return [*problems, *warnings]
        settings = problems or [Finding(Verdict.OK, "its settings can be used")]
        return [*settings, *warnings, *standing.findings(provider), *_judged(provider, transport, policy, seen)]

    try:
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            return list(threads.map(findings, wanted))
    finally:
        transport.close()


def _judged(provider: Provider, transport: Transport, policy: AddressPolicy, seen: Examined) -> Sequence[Finding]:
    introspects = seen.settings.oidc_introspection and provider.id == LOGIN_PROVIDER
    return judge(provider, look(transport, policy, provider, _now), policy, introspects=introspects)


def _now() -> datetime:
    return datetime.now(UTC)


def _ids(seen: Examined) -> tuple[ProviderId, ...]:
    """The login provider and the token providers whose settings were read, with problems or without."""
    read = {group.prefix for group in seen.groups}
    token_providers = dict.fromkeys(ProviderId(text) for text in seen.settings.token_providers)
    return (LOGIN_PROVIDER, *(one for one in token_providers if prefix(one) in read))


def _about(text: str, ids: tuple[ProviderId, ...]) -> ProviderId | None:
    """The provider whose setting a problem or warning begins with."""
    return owner(text.removeprefix(PREFIX), ids)


def _presets(seen: Examined) -> Mapping[ProviderId, str]:
    named = {group.prefix: group.values.preset for group in seen.groups if isinstance(group.values, ProviderSettings)}
    return {provider.id: named.get(prefix(provider.id), "") for provider in seen.providers}


def _links(counts: Mapping[LinkState, int]) -> str:
    return ", ".join(f"{counts[state]} {state}" for state in LinkState if state in counts) or "no links"


def _facts(provider_id: ProviderId, facts: Sequence[Seen]) -> str:
    mine = (one.fact for one in facts if one.provider_id == provider_id)
    return ", ".join(f"{fact.name}: {fact.value}" for fact in mine) or "-"


def _needs(preset: Preset) -> Sequence[str]:
    missing = sorted(names_of(preset) - set(preset.vars))
    return ["CLIENT_ID", "CLIENT_SECRET", *([f"VARS with {' and '.join(missing)}"] if missing else [])]


def _counted(number: int, name: str) -> str:
    return f"1 {name}" if number == 1 else f"{number} {name}s"
