"""Keys that a development store makes for itself, so that a fresh clone starts."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from tokenstore.core.secret import Secret


def development_key(folder: Path, name: str, *, make: bool) -> tuple[Secret, bool]:
    """The key kept in the folder under this name, and whether it was missing; its file is for the owner only.

    A missing key is made if `make`, else it is empty. Of several processes that start together one makes it and all
    read the same. Raises OSError.
    """
    path = folder / f"{name.lower()}.key"
    missing = not path.exists()
    if missing and not make:
        return Secret(""), True
    made = missing and _make(path)
    return Secret(path.read_text(encoding="ascii").strip()), made


def _make(path: Path) -> bool:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_suffix(f".{secrets.token_hex(8)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(secrets.token_hex(32) + "\n")
    try:
        # A link appears whole and never replaces: whoever comes second reads the first one's key.
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True
