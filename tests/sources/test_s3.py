"""Objects of S3 buckets: from a real server where there is one, and from boto3's stand-in for faults and versions."""

from __future__ import annotations

import logging
import os
import pickle
import random
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from project_cache.errors import (
    ConfigurationError,
    ContentError,
    DependencyError,
    MissingObjectError,
    TransferError,
)
from project_cache.files import digest_of
from project_cache.manifest.keys import Key
from project_cache.sources.base import Source
from project_cache.sources.s3 import S3Source
from project_cache.store.part import Part
from project_cache.testing import faults
from project_cache.testing.object_stores import SeaweedServer
from project_cache.testing.server import ObjectServer
from project_cache.transfer.retry import Clock, Policy

NWB = Key("session_nwb", (7,))
PATHS = {
    NWB: "session_7/session 7%.nwb",
    Key("units"): "units.csv",
    Key("up"): "../x.csv",
    Key("absolute"): "/etc/passwd",
    Key("empty"): "",
}
QUICK = Policy(tries=3, silence_s=1.0, connect_s=5.0, part_bytes=1 << 20)


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nobody's credentials, and no machine that could give some."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none either"))


@pytest.fixture(scope="module")
def bodies() -> list[bytes]:
    return [b"\x89HDF\r\n\x1a\n" + random.Random(n).randbytes(12_000_000 - 8) for n in range(2)]


def known(monkeypatch: pytest.MonkeyPatch, access: str = "somebody", secret: str = "S3CRET") -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", access)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)


# A server that does what it is told ------------------------------------------------------------


@pytest.fixture
def server(bodies: list[bytes]) -> Iterator[ObjectServer]:
    """S3's addresses with a path, and its ETags; If-Range is not S3's, and If-Match not this server's."""
    with ObjectServer({"/lab/project/session_7/session%207%25.nwb": bodies[0]}) as server:
        yield server


PLACE = "/lab/project/session_7/session%207%25.nwb"


def source(server: ObjectServer, clock: Clock, **more: Any) -> S3Source:
    return S3Source(
        "bucket",
        "s3://lab/project",
        PATHS.get,
        endpoint_url=server.url(""),
        policy=QUICK,
        clock=clock,
        **more,
    )


def assert_whole(part: Part, data: bytes) -> None:
    part.close()
    assert part.path.read_bytes() == data
    assert part.digest == digest_of(part.path)


def test_objects_come_from_below_the_prefix_unsigned(
    server: ObjectServer, tmp_path: Path, clock: Clock, bodies: list[bytes]
) -> None:
    bucket = source(server, clock)
    assert isinstance(bucket, Source)
    with Part(tmp_path / "a") as part:
        filled = bucket.fill(NWB, part)
        assert_whole(part, bodies[0])
    assert filled.origin == "s3://lab/project/session_7/session%207%25.nwb"
    assert filled.size == len(bodies[0])
    assert filled.validator
    assert [each.path for each in server.log] == [PLACE]
    assert "authorization" not in server.log[0].headers


def test_credentials_sign_and_never_show(
    server: ObjectServer,
    tmp_path: Path,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    known(monkeypatch)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "S3CRET-TOKEN")
    bucket = source(server, clock)
    with caplog.at_level(logging.INFO), Part(tmp_path / "a") as part:
        bucket.fill(NWB, part)
        assert "Credential=somebody/" in server.log[0].headers["authorization"]
        server.misbehave(PLACE, faults.status(500))
    with Part(tmp_path / "b") as part, pytest.raises(TransferError) as caught:
        bucket.fill(NWB, part)
    told = (
        "".join(traceback.format_exception(caught.value)) + caplog.text + repr(bucket) + repr(bucket.__dict__)
    )
    assert "S3CRET" not in told


def test_a_public_bucket_that_refuses_ones_keys_is_asked_without(
    server: ObjectServer, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, bodies: list[bytes]
) -> None:
    known(monkeypatch)
    server.misbehave(PLACE, faults.status(403), nth=1)
    bucket = source(server, clock)
    for _ in range(2):
        with Part(tmp_path / "a") as part:
            bucket.fill(NWB, part)
            assert_whole(part, bodies[0])
            part.discard()
    # and that is kept in mind
    assert ["authorization" in each.headers for each in server.log] == [True, False, False]


@pytest.mark.parametrize(("anonymous", "signed"), [(True, [False]), (False, [True])])
def test_who_says_how_to_ask_is_asked_so(
    anonymous: bool,
    signed: list[bool],
    server: ObjectServer,
    tmp_path: Path,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known(monkeypatch)
    server.misbehave(PLACE, faults.status(403))
    with Part(tmp_path / "a") as part, pytest.raises(MissingObjectError, match="403"):
        source(server, clock, anonymous=anonymous).fill(NWB, part)
    assert ["authorization" in each.headers for each in server.log] == signed


def test_without_the_credentials_that_are_wanted_it_says_so(
    server: ObjectServer, tmp_path: Path, clock: Clock
) -> None:
    with Part(tmp_path / "a") as part, pytest.raises(TransferError, match="AWS_PROFILE"):
        source(server, clock, requester_pays=True).fill(NWB, part)
    assert server.log == []


def test_requester_pays_and_versions_are_asked_for(
    server: ObjectServer, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, bodies: list[bytes]
) -> None:
    known(monkeypatch)
    server.put(f"{PLACE}?versionId=v%2B1", bodies[1])
    with Part(tmp_path / "a") as part:
        filled = source(server, clock, requester_pays=True, version_of={NWB: "v+1"}.get).fill(NWB, part)
        assert_whole(part, bodies[1])
    assert filled.origin.endswith("?versionId=v%2B1")
    assert server.log[0].headers["x-amz-request-payer"] == "requester"


def test_the_environment_names_the_server(
    server: ObjectServer, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, bodies: list[bytes]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.url(""))
    with Part(tmp_path / "a") as part:
        S3Source("bucket", "s3://lab/project/", PATHS.get, clock=clock).fill(NWB, part)
        assert_whole(part, bodies[0])


def test_redirects_are_not_followed_with_a_signature(
    server: ObjectServer, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    known(monkeypatch)
    with ObjectServer({"/b.nwb": b"there"}, host="localhost") as other:
        for code in (301, 302, 307):
            server.misbehave(PLACE, faults.redirect(other.url("/b.nwb"), code))
            with Part(tmp_path / "a") as part, pytest.raises(TransferError):
                source(server, clock).fill(NWB, part)
            server.behave()
        assert other.log == []


def test_after_a_drop_the_rest_is_bound_by_if_match(
    server: ObjectServer, tmp_path: Path, clock: Clock, bodies: list[bytes]
) -> None:
    server.misbehave(PLACE, faults.truncated(7_000_000), nth=1)
    with Part(tmp_path / "a") as part:
        filled = source(server, clock).fill(NWB, part)
        assert_whole(part, bodies[0])
    rest = server.log[1].headers
    assert rest["range"].startswith("bytes=")
    assert rest["if-match"] == filled.validator
    assert "if-range" not in rest
    assert server.sent < 1.1 * len(bodies[0])


HEALED = {
    "later": faults.status(503),
    "changed": faults.status(412),
    "reset": faults.reset(100_000),
    "silence": faults.stalled(1000, 30.0),
    "another part": faults.wrong_range(),
    "all of it": faults.ignored_range(),
}


@pytest.mark.parametrize("name", HEALED)
def test_trouble_is_healed(
    name: str, server: ObjectServer, tmp_path: Path, clock: Clock, bodies: list[bytes]
) -> None:
    server.misbehave(PLACE, faults.truncated(5_000_000), nth=1)
    server.misbehave(PLACE, HEALED[name], nth=2)
    with Part(tmp_path / "a") as part:
        source(server, clock).fill(NWB, part)
        assert_whole(part, bodies[0])


def test_a_slow_line_gets_more_connections(
    server: ObjectServer, tmp_path: Path, clock: Clock, bodies: list[bytes]
) -> None:
    server.misbehave(PLACE, faults.slow(5e6))
    with Part(tmp_path / "a") as part:
        filled = source(server, clock).fill(NWB, part)
        assert_whole(part, bodies[0])
    assert len(server.log) > 4
    assert {each.headers["if-match"] for each in server.log[1:]} == {filled.validator}


def test_a_web_page_is_refused(server: ObjectServer, tmp_path: Path, clock: Clock) -> None:
    server.misbehave(PLACE, faults.html_page("Sign in"))
    with Part(tmp_path / "a") as part, pytest.raises(ContentError, match="Sign in"):
        source(server, clock).fill(NWB, part)


@pytest.mark.parametrize("status", [404, 405, 410])
def test_objects_that_are_not_there_are_missing(
    status: int, server: ObjectServer, tmp_path: Path, clock: Clock
) -> None:
    server.misbehave(PLACE, faults.status(status))
    with Part(tmp_path / "a") as part, pytest.raises(MissingObjectError, match=str(status)):
        source(server, clock).fill(NWB, part)


def test_a_server_that_is_not_there_is_told_in_words(tmp_path: Path, clock: Clock) -> None:
    bucket = S3Source(
        "b", "s3://lab", PATHS.get, endpoint_url="http://me:S3CRET@127.0.0.1:9", policy=QUICK, clock=clock
    )
    with (
        Part(tmp_path / "a") as part,
        pytest.raises(TransferError, match="gave up after 3 requests") as caught,
    ):
        bucket.fill(NWB, part)
    assert "S3CRET" not in "".join(traceback.format_exception(caught.value)) + repr(bucket._transport)


@pytest.mark.parametrize("key", [Key("up"), Key("absolute"), Key("empty")])
def test_paths_stay_below_the_prefix(key: Key) -> None:
    with pytest.raises(ConfigurationError):
        S3Source("bucket", "s3://lab/project", PATHS.get).url(key)


@pytest.mark.parametrize(
    "address",
    ["http://h/x", "s3://", "s3:///x", "s3://a", "s3://me:pw@lab/x", "s3://lab/x?versionId=1", "lab/x"],
)
def test_addresses_that_are_not_of_s3(address: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        S3Source("bucket", address, PATHS.get)
    assert "pw" not in str(caught.value)


def test_keys_it_does_not_have_and_processes_that_share_it(tmp_path: Path) -> None:
    bucket = pickle.loads(pickle.dumps(S3Source("bucket", "s3://lab", {NWB: "a.nwb"}.get)))
    assert not bucket.has(Key("probes"))
    with Part(tmp_path / "a") as part, pytest.raises(MissingObjectError):
        bucket.fill(Key("probes"), part)


# A real one ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def weed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedServer]:
    try:
        server = SeaweedServer(tmp_path_factory.mktemp("weed"))
    except DependencyError as error:
        pytest.skip(str(error))
    with server:
        server.make_bucket("public", versions=True)
        server.make_bucket("private")
        yield server


def put(weed: SeaweedServer, bucket: str, body: bytes) -> str | None:
    client = weed.client()
    answer = client.put_object(Bucket=bucket, Key=f"project/{PATHS[NWB]}", Body=body)
    client.close()
    version = answer.get("VersionId")
    return None if version is None else str(version)


@pytest.mark.slow
def test_a_real_server_gives_versions_to_anyone_and_private_things_to_its_owner(
    weed: SeaweedServer, tmp_path: Path, clock: Clock, bodies: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = put(weed, "public", bodies[0])
    put(weed, "public", bodies[1])
    put(weed, "private", bodies[0])
    for version, body in ((None, bodies[1]), (first, bodies[0])):
        bucket = S3Source(
            "b",
            "s3://public/project",
            PATHS.get,
            endpoint_url=weed.endpoint_url,
            version_of=lambda key, v=version: v,  # type: ignore[misc]
            clock=clock,
        )
        with Part(tmp_path / "a") as part:
            bucket.fill(NWB, part)
            assert_whole(part, body)
            part.discard()
    private = S3Source("b", "s3://private/project", PATHS.get, endpoint_url=weed.endpoint_url, clock=clock)
    with Part(tmp_path / "a") as part, pytest.raises(MissingObjectError, match="403"):
        private.fill(NWB, part)
    for name, value in weed.environment.items():
        monkeypatch.setenv(name, value)
    with Part(tmp_path / "a") as part:
        S3Source("b", "s3://private/project", PATHS.get, clock=clock).fill(NWB, part)
        assert_whole(part, bodies[0])


@pytest.mark.slow
def test_a_real_server_refuses_the_rest_of_what_has_changed(
    weed: SeaweedServer, tmp_path: Path, clock: Clock, bodies: list[bytes]
) -> None:
    put(weed, "public", bodies[0])
    bucket = S3Source("b", "s3://public/project", PATHS.get, endpoint_url=weed.endpoint_url, clock=clock)

    def interrupt(done: int, total: int | None) -> None:
        if done > 6_000_000:
            raise KeyboardInterrupt

    with Part(tmp_path / "a") as part:
        with pytest.raises(KeyboardInterrupt):
            bucket.fill(NWB, part, interrupt)
        part.release()
    again = Part.claim(tmp_path / "a")
    assert again.position > 6_000_000
    put(weed, "public", bodies[1])
    bucket.fill(NWB, again)
    assert_whole(again, bodies[1])
    again.discard()
