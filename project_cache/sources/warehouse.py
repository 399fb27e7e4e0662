"""The source that is the Allen Institute's public warehouse: tables by query, files by link."""

from __future__ import annotations

import re
from collections.abc import Callable

from project_cache.errors import (
    ConfigurationError,
    ContentError,
    MissingObjectError,
    ServerError,
    WarehouseError,
)
from project_cache.manifest.keys import Key
from project_cache.sources import rma, warehouse_tables
from project_cache.sources.base import Filled, Progress, silent
from project_cache.store.part import Part
from project_cache.transfer.address import redacted
from project_cache.transfer.download import download, read
from project_cache.transfer.retry import Clock, Policy
from project_cache.transfer.transport import Transport, WebTransport

__all__ = ["WarehouseSource"]

_METRICS = {"session_analysis_metrics", "typewise_analysis_metrics"}
_TABLES = {"sessions", "probes", "channels", "units"} | _METRICS
_TEMPLATES = {
    "natural_movie": re.compile(r".*natural_movie_(\d+)\.npy"),
    "natural_scene": re.compile(r".*/(\d+)\.tiff"),
}
_FILES = {"session_nwb", "probe_lfp_nwb"} | set(_TEMPLATES)
_HOST = re.compile(r"[^\s/?#@\\]+")


class WarehouseSource:
    """All objects of Visual Coding Neuropixels, from ``api.brain-map.org`` or a server that speaks its protocol.

    Tables are written as AllenSDK 2.16.2 writes them, byte for byte.

    Parameters
    ----------
    scheme : {"http", "https"}
        How it is asked.
    host : str
        With a port if need be.
    tries : int
        How many requests in a row may fail without bringing a byte that is new.
    timeout : float
        Seconds in which *something* must arrive. In AllenSDK this was the time for the whole file, so that on
        slow lines every session failed and was thrown away; here a file that is arriving is never stopped.
        Independently of it a connection that is silent for 60 s is given up and made anew.
    page_size : int
        Rows to ask for at once.
    transport, clock
        Makes what makes the requests; time.
    """

    remote: bool = True

    def __init__(
        self,
        scheme: str = "http",
        host: str = "api.brain-map.org",
        *,
        tries: int = 6,
        timeout: float = 1200.0,
        page_size: int = 5000,
        transport: Callable[[Policy], Transport] = WebTransport,
        clock: Clock | None = None,
    ) -> None:
        if scheme not in ("http", "https"):
            raise ConfigurationError(f"A warehouse is asked by http or https, not by {scheme!r}.")
        if not _HOST.fullmatch(host):
            raise ConfigurationError("host= is to be a name, or a name and a port: api.brain-map.org")
        if tries < 1 or timeout <= 0 or page_size < 1:
            raise ConfigurationError(
                f"tries, timeout and page_size are to be positive: {tries}, {timeout}, {page_size}"
            )
        self.base = f"{scheme}://{host}"
        self.name = f"warehouse {self.base}"
        self.policy = Policy(tries=tries, patience_s=float(timeout))
        self._page_size = page_size
        self._transport = transport
        self._clock = clock or Clock()

    def __repr__(self) -> str:
        return f"WarehouseSource({self.base!r})"

    def has(self, key: Key) -> bool:
        """Return whether the warehouse has objects of that kind."""
        return key.kind in _TABLES or key.kind in _FILES

    def fill(self, key: Key, part: Part, progress: Progress = silent) -> Filled:
        """Fill the part with the object, whole.

        Raises
        ------
        MissingObjectError
            The warehouse has no such file, or no rows for it.
        WarehouseError
            It says that the query failed, or contradicts itself.
        TransferError
            The object did not arrive; what did is kept in the part.
        """
        if not self.has(key):
            raise MissingObjectError(f"{self.name} has no {key}.")
        with self._transport(self.policy) as transport:
            if key.kind in _TABLES:
                return self._fill_table(key, part, transport, progress)
            url = self._file_url(key, transport)
            try:
                return download(
                    url,
                    part,
                    transport=transport,
                    expect="binary",
                    progress=progress,
                    policy=self.policy,
                    clock=self._clock,
                )
            except ServerError as error:
                if error.status not in (404, 410):
                    raise
                raise MissingObjectError(
                    f"{self.name} lists {key}, but its file is not there ({redacted(url)}: {error.status})."
                ) from error

    def _fill_table(self, key: Key, part: Part, transport: Transport, progress: Progress) -> Filled:
        query = rma.table_query(key)
        rows = self._rows(query, transport)
        if not rows:
            raise MissingObjectError(f"{self.name} has no rows for {key}.")
        if key.kind in _METRICS:
            data = warehouse_tables.metrics_csv(rows)
        else:
            data = warehouse_tables.table_csv(key.kind, rows)
        origin = f"{self.base}/api/v2/data/query.json?{query}"
        part.restart(origin=origin, size=len(data))
        part.write(data)
        progress(len(data), len(data))
        return Filled(origin, size=len(data))

    def _rows(self, query: str, transport: Transport) -> list[rma.Row]:
        def ask(start: int, count: int) -> rma.Page:
            url = rma.page_url(self.base, query, start, count)
            for left in reversed(range(min(self.policy.tries, 3))):
                data = read(url, transport=transport, expect="json", policy=self.policy, clock=self._clock)
                try:
                    return rma.parse_page(data, self.name)
                except ContentError:
                    # an answer without a length that was cut on the way
                    if not left:
                        raise
            raise AssertionError("unreachable")

        return rma.rows_of(ask, self._page_size, self.name)

    def _file_url(self, key: Key, transport: Transport) -> str:
        files = self._rows(rma.file_query(key), transport)
        if key.kind in _TEMPLATES:
            number = rma.identity(key, 0)
            files = [file for file in files if _template_number(key.kind, file) == number]
        if not files:
            raise MissingObjectError(f"{self.name} has no file for {key}.")
        if len(files) > 1:
            raise WarehouseError(f"{self.name} has {len(files)} files for {key}, where one was expected.")
        link = files[0].get("download_link")
        if not isinstance(link, str) or not link.startswith("/") or "\\" in link:
            raise WarehouseError(f"{self.name} gives no link below its own address for {key}: {link!r:.200}")
        # the slashes are AllenSDK's, and all that its servers have ever been asked for
        return f"{self.base}//{link.lstrip('/')}"


def _template_number(kind: str, file: rma.Row) -> int | None:
    found = _TEMPLATES[kind].match(str(file.get("path")))
    return int(found[1]) if found else None
