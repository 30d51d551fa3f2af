"""URLs and credentials: which places are taken, and that no secret is ever seen."""

from __future__ import annotations

import logging
import sys
import traceback

import pytest
from server import Trouble

from spatialrun.errors import StoreError
from spatialrun.store.buckets import clean_url, open_bucket
from spatialrun.store.local import LocalBackend
from spatialrun.store.remote import RemoteBackend
from spatialrun.store.requests import Patience
from spatialrun.store.store import create_store, open_store

SECRET = "hunter2"
WITH_SECRETS = [
    f"s3://user:{SECRET}@bucket/folder",
    f"s3://{SECRET}@bucket/folder",
    f"s3://bucket/folder?X-Amz-Signature={SECRET}",
    f"s3://bucket/folder#{SECRET}",
    f"az://container/folder?sv=2024&sig={SECRET}",
    f"abfs://container:{SECRET}@account.dfs.core.windows.net/folder",
    f"gs://user:{SECRET}@bucket/folder/",
    f"ftp://user:{SECRET}@host/folder",
    f"file://user:{SECRET}@host/folder",
]


def everything_said(error):
    """All that a person, a log or a record could get to see of an error."""
    return "".join([*traceback.format_exception(error), repr(error), str(error), repr(vars(error))])


@pytest.mark.parametrize("url", WITH_SECRETS)
def test_urls_with_credentials_are_refused_without_repeating_them(url):
    for act in (open_store, create_store):
        with pytest.raises(StoreError) as caught:
            act(url)
        assert caught.value.code == "store.url"
        assert SECRET not in everything_said(caught.value)
    assert SECRET not in clean_url(url)


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/a/b/", "s3://bucket/a/b"),
        (
            "abfs://container@account.dfs.core.windows.net/a",
            "abfs://container@account.dfs.core.windows.net/a",
        ),
        ("gs://bucket/a b", "gs://bucket/a b"),
    ],
)
def test_urls_stay_as_they_are_otherwise(url, clean):
    assert clean_url(url) == clean


@pytest.mark.parametrize("url", ["ftp://host/folder", "s3:///folder", "http://host/folder", "xy://"])
def test_what_is_no_place_is_told(url):
    with pytest.raises(StoreError, match="no place for a store") as caught:
        open_store(url)
    assert caught.value.code == "store.url"


def test_providers_are_known_by_their_scheme(monkeypatch):
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "c2VjcmV0")
    monkeypatch.setenv("GOOGLE_SKIP_SIGNATURE", "true")
    kinds = {"s3": "S3Store", "az": "AzureStore", "gs": "GCSStore", "memory": "MemoryStore"}
    for scheme, kind in kinds.items():
        assert type(open_bucket(f"{scheme}://name/folder")).__name__ == kind
    place = "abfs://container@account.dfs.core.windows.net/folder"
    assert type(open_bucket(place)).__name__ == "AzureStore"


def test_file_urls_are_folders(tmp_path):
    store = create_store((tmp_path / "a store").as_uri())
    assert isinstance(store.backend, LocalBackend)
    assert store.url == str(tmp_path / "a store")


def test_memory_is_shared_by_name_in_this_process(tmp_path):
    create_store(f"memory://{tmp_path.name}").backend.put("a", b"1")
    assert open_store(f"memory://{tmp_path.name}").backend.get("a") == b"1"
    with pytest.raises(StoreError) as caught:
        open_store(f"memory://{tmp_path.name}-other")
    assert caught.value.code == "store.missing"


def test_without_obstore_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    with pytest.raises(StoreError) as caught:
        open_store("s3://bucket/folder")
    assert caught.value.code == "store.no-client"
    assert "pip install 'spatialrun[cloud]'" in caught.value.hint


def test_no_secret_is_seen_of_a_store_that_works_or_fails(server, bucket, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    secrets = {
        "AWS_ACCESS_KEY_ID": "id-hunter2",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_SESSION_TOKEN": f"t-{SECRET}",
    }
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    store = create_store(f"{bucket}/store")
    attempt = store.attempt()
    attempt.write("x", 1)
    attempt.verify()
    backend = RemoteBackend(f"{bucket}/store", Patience(tries=2, first=0.001))
    seen = [repr(backend), repr(store), repr(backend.zarr("data")), str(backend.zarr("data"))]
    for fault in ("unavailable", "lost", "truncated", "forbidden"):
        server.trouble = Trouble(1.0, faults=(fault,))
        for act in (lambda: backend.get("store.json"), lambda: backend.list("").__next__()):
            with pytest.raises(StoreError) as caught:
                act()
            seen.append(everything_said(caught.value))
    server.calm()
    stored = [backend.get(path) for path in backend.sizes("")]
    assert SECRET not in "".join(seen)
    assert SECRET.encode() not in b"".join(stored)
    assert SECRET not in caplog.text


def test_no_signature_of_azure_is_seen(monkeypatch):
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", f"sv=2024&sig={SECRET}")
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", "http://127.0.0.1:9")
    backend = RemoteBackend("az://container/folder", Patience(tries=2, first=0.001))
    with pytest.raises(StoreError) as caught:
        backend.get("store.json")
    assert caught.value.code == "store.unreachable"
    assert SECRET not in everything_said(caught.value)


def test_requests_are_signed_with_what_the_environment_or_a_profile_gives(
    server, bucket, monkeypatch, tmp_path
):
    create_store(f"{bucket}/store")
    assert "Credential=an-id/" in server.signatures[-1]
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    profile = tmp_path / "credentials"
    profile.write_text("[lab]\naws_access_key_id = of-the-profile\naws_secret_access_key = secret\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(profile))
    monkeypatch.setenv("AWS_PROFILE", "lab")
    open_store(f"{bucket}/store")
    assert "Credential=of-the-profile/" in server.signatures[-1]
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
    with pytest.raises(StoreError, match="403"):  # the bucket is not public
        open_store(f"{bucket}/store")
    assert server.signatures[-1] == ""
