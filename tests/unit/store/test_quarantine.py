"""What a refusal asks of the database: few rows, by indexes."""

from __future__ import annotations

from typing import Any

from sqlalchemy import event as engine_event

from support.harness import ZERO, event, new_link
from support.stores import SqlStores, sql_stores
from tokenstore.core.refusals import MassRefusal, Refusal


def refuse_one(stores: SqlStores, rule: MassRefusal) -> None:
    link = stores.links.attach(new_link(), event())
    base = stores.links.base(link.id)
    assert base is not None
    lease = stores.links.take_lease(base.link, "node-1/a", rule.window)
    assert lease is not None
    stores.links.refuse(lease, Refusal("invalid_grant", ZERO), rule, event())


def test_refusals_are_counted_by_the_index_of_provider_action_and_time(sqlite_url: str) -> None:
    sent: list[tuple[str, Any]] = []
    with sql_stores(sqlite_url) as stores:

        @engine_event.listens_for(stores.engine, "before_cursor_execute")
        def note(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
            if "FROM audit_event" in statement:
                sent.append((statement, parameters))

        refuse_one(stores, MassRefusal(refreshes=1))
        with stores.database.reading() as connection:
            plans = [
                [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
                for statement, parameters in list(sent)
            ]
    assert len(plans) == 3, "people refused, grants, links that are suspect again"
    index = "ix_audit_event_provider_id_action_at (provider_id=? AND action=? AND at>?)"
    assert all(any(index in step for step in plan) for plan in plans), plans
    assert not [step for plan in plans for step in plan if step.startswith(("SCAN audit_event", "SCAN link"))], plans
