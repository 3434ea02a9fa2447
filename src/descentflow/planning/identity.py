"""Canonical JSON and the identities made from it."""

import hashlib
import json


def canonical(value: object) -> str:
    """Canonical JSON: sorted keys, no spaces, shortest floats; nan and infinities are refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def identity(value: object) -> str:
    """First 12 hexadecimal digits of the SHA-256 of the canonical JSON."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:12]
