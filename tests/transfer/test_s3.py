"""S3 as a transport: listings, and who is asked without a signature."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.exceptions import IncompleteReadError

from project_cache.errors import ContentError, ServerError, TransferError
from project_cache.testing import faults
from project_cache.testing.server import ObjectServer, Served
from project_cache.transfer.retry import Policy
from project_cache.transfer.s3 import Listed, S3Transport, _S3Answer, s3_url
from project_cache.transfer.transport import Dropped

QUICK = Policy(tries=2, silence_s=1.0, connect_s=5.0, first_wait_s=0.01)
KEYS = ["a/1", "a/2", "a/b/3", "a/b/4", "a/c d/5%"]


@pytest.fixture(autouse=True)
def somebody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none either"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "S3CRET")


def page(address: str) -> Served | None:
    """Return what a bucket answers: pages of at most two objects."""
    parts = urlsplit(address)
    asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
    if "list-type" not in asked:
        return Served(parts.path.encode())
    prefix, most = asked.get("prefix", ""), min(2, int(asked.get("max-keys", 2)))
    found: list[str] = []
    for key in (key for key in KEYS if key.startswith(prefix)):
        name, slash, _ = key[len(prefix) :].partition(asked.get("delimiter", "\0"))
        if prefix + name + slash not in found:
            found.append(prefix + name + slash)
    start = int(asked.get("continuation-token", 0))
    more = start + most < len(found)
    told = "".join(
        f"<CommonPrefixes><Prefix>{each}</Prefix></CommonPrefixes>"
        if each.endswith("/")
        else f"<Contents><Key>{each}</Key><Size>{len(each)}</Size><ETag>&quot;{each}&quot;</ETag></Contents>"
        for each in found[start : start + most]
    )
    token = f"<NextContinuationToken>{start + most}</NextContinuationToken>" if more else ""
    text = f"<ListBucketResult><IsTruncated>{str(more).lower()}</IsTruncated>{token}{told}</ListBucketResult>"
    return Served(text.encode(), "application/xml")


@pytest.fixture
def server() -> Iterator[ObjectServer]:
    with ObjectServer(page) as server:
        yield server


@pytest.fixture
def transport(server: ObjectServer) -> Iterator[S3Transport]:
    with S3Transport(QUICK, endpoint_url=server.url("")) as transport:
        yield transport


def test_a_listing_is_read_page_by_page(transport: S3Transport, server: ObjectServer) -> None:
    assert transport.listing("lab", "")[0] == Listed("a/1", 3, '"a/1"')
    assert transport.keys("lab", "") == KEYS
    assert len(server.log) == 6


def test_folders_are_what_keys_have_in_common(transport: S3Transport) -> None:
    found = transport.listing("lab", "a/", delimiter="/")
    assert [each.key for each in found] == ["a/1", "a/2", "a/b/", "a/c d/"]
    assert [each.size for each in found] == [3, 3, None, None]
    assert transport.listing("lab", "nothing") == []


def test_no_more_is_asked_for_than_is_wanted(transport: S3Transport, server: ObjectServer) -> None:
    assert len(transport.listing("lab", "", limit=1)) == 1
    assert len(server.log) == 1


def test_a_listing_that_passes_is_asked_for_again(transport: S3Transport, server: ObjectServer) -> None:
    server.misbehave(lambda path: "list-type" in path, faults.status(503), nth=2)
    assert transport.keys("lab", "") == KEYS
    server.misbehave(lambda path: "list-type" in path, faults.status(500))
    with pytest.raises(ServerError, match="s3://lab/a .*500"):
        transport.keys("lab", "a")


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (faults.html_page("Sign in"), "a web page"),
        (faults.status(404), "answered 404"),
        (faults.Fault(body=b"<ListBucket"), "s3://lab/a could not be read"),
    ],
)
def test_what_is_no_listing_is_refused(
    fault: faults.Fault, said: str, transport: S3Transport, server: ObjectServer
) -> None:
    server.misbehave(lambda path: "list-type" in path, fault)
    with pytest.raises(TransferError, match=said):
        transport.keys("lab", "a")


def test_a_listing_that_never_ends_is_refused() -> None:
    text = b"<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>1</NextContinuationToken></ListBucketResult>"
    with (
        ObjectServer(lambda path: Served(text, "application/xml")) as server,
        S3Transport(QUICK, endpoint_url=server.url("")) as transport,
        pytest.raises(ContentError, match="how to go on"),
    ):
        transport.keys("lab", "a")


def test_a_bucket_that_does_not_want_a_signature_gets_none_and_others_do(
    transport: S3Transport, server: ObjectServer
) -> None:
    server.misbehave(lambda path: path.startswith("/public"), faults.status(403), nth=1)
    assert transport.keys("public", "a/b") == ["a/b/3", "a/b/4"]
    for bucket in ("public", "private"):
        answer = transport.get(s3_url(bucket, "a/1"), {})
        assert b"".join(map(bytes, answer.blocks())) == f"/{bucket}/a/1".encode()
        answer.close()
    assert ["authorization" in each.headers for each in server.log] == [True, False, False, True]


def test_a_body_that_is_not_urllib3s_is_read_all_the_same() -> None:
    class Body:
        """What boto3 gives, without what it wraps."""

        def __init__(self, *, breaks: bool) -> None:
            self.breaks, self.file = breaks, io.BytesIO(bytes(range(256)) * 1000)

        def readinto(self, buffer: memoryview) -> int:
            count = self.file.readinto(buffer)
            if not count and self.breaks:
                raise IncompleteReadError(actual_bytes=1, expected_bytes=2)
            return count

    whole = _S3Answer({"Body": Body(breaks=False)})
    assert b"".join(whole.blocks()) == bytes(range(256)) * 1000
    with pytest.raises(Dropped, match="broke off"):
        list(_S3Answer({"Body": Body(breaks=True)}).blocks())
