"""Where a browser goes after a linking: the return address, told how it ended if it was asked for (`result=query`)."""

from __future__ import annotations

import logging

from tokenstore.core.redirects import with_result
from tokenstore.errors import Report, TokenStoreError

log = logging.getLogger(__name__)


def after_linking(return_url: str, provider_id: str, *, reports: bool) -> str:
    """The address after an account was linked."""
    return with_result(return_url, {"result": "ok", "provider": provider_id}) if reports else return_url


def after_cancelling(return_url: str, provider_id: str, *, reports: bool) -> str:
    """The address after a person said no."""
    return _failed(return_url, provider_id, "link-denied") if reports else return_url


def after_error(report: Report, error: TokenStoreError) -> str:
    """The address that asked to be told of this error, which goes into the log, too."""
    log.info("a linking failed", extra={"provider": report.provider_id, "slug": error.slug, "debug": error.debug})
    return _failed(report.return_url, report.provider_id, error.slug)


def _failed(return_url: str, provider_id: str, slug: str) -> str:
    return with_result(return_url, {"result": "error", "provider": provider_id, "error": slug})
