"""Redaction: what looks like a secret is left out of everything that a run keeps.

Credentials have no place in a recipe, and stores refuse URLs that hold them; but a recipe may hold them all the
same, in a part that nothing has looked at.
"""

from __future__ import annotations

import re

REDACTED = "REDACTED"

_WORDS = r"secret|password|passwd|token|credential|access_?key|api_?key|account_?key|private_?key"
_SECRET_KEY = re.compile(rf"(?i){_WORDS}")
_USER = re.compile(r"(?<=://)[^/@\s'\"]+@")
_QUERY = re.compile(r"(?i)(?<=[?&])((?:x-amz-\w[\w-]*|sig|signature|sas|se|key|token)=)[^&#\s'\"]+")
_VALUE = re.compile(
    rf"""(?ix) (?P<key>["']?[\w.-]*(?:{_WORDS})[\w.-]*["']?\s*[:=][ \t]*)
    (?P<value>"[^"\n]*"|'[^'\n]*'|(?!{REDACTED})[^\s,\]}}{{\[|>&*!][^\n,\]}}]*)"""
)


def redacted(text: str) -> str:
    """Return a text without users and passwords in URLs, signatures, and values of keys that name a secret."""
    text = _USER.sub(f"{REDACTED}@", text)
    text = _QUERY.sub(rf"\g<1>{REDACTED}", text)
    return _VALUE.sub(rf"\g<key>{REDACTED}", text)


def redacted_value(key: str, value: object) -> object:
    """Return the value of a key, unless the key names a secret; text as :func:`redacted`."""
    if _SECRET_KEY.search(key):
        return REDACTED
    return redacted(value) if isinstance(value, str) else value
