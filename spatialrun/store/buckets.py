"""Buckets: where a store's URL leads, and the client that goes there.

Credentials come from where the provider's own tools find them: the environment, a profile, the machine's role.
They never come from the URL: it is written into errors, events and records.
"""

from __future__ import annotations

import os
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from spatialrun.errors import StoreError, Where

if TYPE_CHECKING:
    from obstore.store import MemoryStore, ObjectStore

SCHEMES = ("s3", "gs", "az", "abfs", "abfss", "memory")
_AZURE = ("abfs", "abfss")
_TIMEOUTS = {
    "connect_timeout": timedelta(seconds=10),
    "read_timeout": timedelta(seconds=60),
    "timeout": timedelta(minutes=10),
}


def clean_url(url: str) -> str:
    """Return a URL without what must not be seen: user names, passwords, queries, fragments.

    What stands before the @ of ``abfs://container@account...`` is no user but a container, and stays.
    """
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    container = f"{user.partition(':')[0]}@" if at and parts.scheme in _AZURE else ""
    return f"{parts.scheme}://{container}{host}{parts.path}".rstrip("/")


def open_bucket(url: str) -> ObjectStore:
    """Return a client for the folder of a bucket that ``url`` names; nothing is asked of the server yet.

    Raises
    ------
    StoreError
        ``store.url`` for a URL that is of no known kind or holds credentials; ``store.no-client`` where obstore
        is not installed.
    """
    place = clean_url(url)
    scheme = urlsplit(place).scheme
    if scheme not in SCHEMES or not urlsplit(place).netloc:
        raise StoreError(
            "store.url",
            "this is no place for a store",
            where=Where(file=place),
            hint="name a folder, or a URL: s3://bucket/folder, gs://bucket/folder, az://container/folder",
        )
    if place != url.rstrip("/"):
        raise StoreError(
            "store.url",
            "the URL holds more than a bucket and a folder: credentials in it would be written into records",
            where=Where(file=place),
            hint="leave them out, and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AZURE_STORAGE_SAS_TOKEN "
            "or GOOGLE_APPLICATION_CREDENTIALS instead",
        )
    try:
        from obstore.exceptions import BaseError
        from obstore.store import from_url
    except ImportError as error:
        raise StoreError(
            "store.no-client",
            "object stores need the package obstore, which is not installed",
            where=Where(file=place),
            hint="pip install 'spatialrun[cloud]'",
        ) from error
    if scheme == "memory":
        return _memory(place)
    options: Any = {**_TIMEOUTS, "allow_http": _allows_http()}
    client: ObjectStore
    try:
        # Retries are made in one place, spatialrun.store.requests, for answers that break off as well.
        client = from_url(place, client_options=options, retry_config={"max_retries": 0}, **_profile(scheme))
    except BaseError as error:
        raise StoreError(
            "store.url",
            "what the provider needs to be told is missing or wrong",
            where=Where(file=place),
            hint="check its variables: AWS_*, GOOGLE_APPLICATION_CREDENTIALS, or AZURE_STORAGE_ACCOUNT_NAME",
        ) from error
    return client


@cache
def _memory(place: str) -> MemoryStore:
    """Return this process's one store of a name."""
    from obstore.store import MemoryStore

    del place
    return MemoryStore()


def _allows_http() -> bool:
    """Whether unencrypted connections are asked for: outright, or by an endpoint that is named so."""
    endpoint = next((os.environ[name] for name in _ENDPOINTS if name in os.environ), "")
    return endpoint.startswith("http://") or os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("1", "true")


_ENDPOINTS = (
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT",
    "AZURE_STORAGE_ENDPOINT",
    "AZURE_ENDPOINT",
)
_GIVEN = ("AWS_ACCESS_KEY_ID", "AWS_SKIP_SIGNATURE", "AWS_WEB_IDENTITY_TOKEN_FILE")


def _profile(scheme: str) -> dict[str, Any]:
    """Return the credentials of an AWS profile, which obstore does not read, where one is there to be used."""
    files = (
        os.environ.get("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"),
        os.environ.get("AWS_CONFIG_FILE", "~/.aws/config"),
    )
    profiled = "AWS_PROFILE" in os.environ or any(Path(file).expanduser().is_file() for file in files)
    if scheme != "s3" or not profiled or any(name in os.environ for name in _GIVEN):
        return {}
    try:
        import boto3
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError:
        return {}
    session = boto3.Session()
    if session.get_credentials() is None:
        return {}
    return {"credential_provider": Boto3CredentialProvider(session)}
