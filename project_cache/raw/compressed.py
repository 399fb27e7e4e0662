"""Zarr groups as compression and spike sorting leave them: opened for reading, here or far away."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from project_cache.errors import (
    CorruptObjectError,
    DependencyError,
    MissingDataError,
    MissingObjectError,
    ProjectCacheError,
)
from project_cache.raw.places import AnyPath, RemotePath, place

__all__ = ["ZarrGroup", "open_zarr"]


class ZarrGroup:
    """A zarr group (format 2 or 3) whose arrays are read lazily, and never unpickled.

    Parameters
    ----------
    path : str or path
        The ``.zarr`` folder.

    Raises
    ------
    MissingObjectError, CorruptObjectError
        There is no such folder; it is no zarr group.
    """

    def __init__(self, path: str | AnyPath) -> None:
        self.path = place(path)
        self._group = open_zarr(self.path)

    @property
    def attrs(self) -> dict[str, Any]:
        """The attributes of the group."""
        return dict(self._group.attrs)

    def attributes(self, name: str) -> dict[str, Any]:
        """Return the attributes of the group or array of this name; empty where there is none."""
        member = self._member(name)
        return {} if member is None else dict(member.attrs)

    def __contains__(self, name: str) -> bool:
        return self._member(name) is not None

    def names(self, name: str) -> list[str]:
        """Return the members of the group of this name, sorted; empty where there is none."""
        import zarr

        member = self._member(name)
        return sorted(member.keys()) if isinstance(member, zarr.Group) else []

    def array(self, name: str) -> Any:
        """Return an array, of which nothing is read yet: slices of it are NumPy arrays.

        Raises
        ------
        MissingDataError
            The group has no such array.
        DependencyError
            It is compressed with a codec that is not installed.
        CorruptObjectError
            It is damaged, or holds pickled Python objects.
        """
        import zarr

        member = self._member(name)
        if not isinstance(member, zarr.Array):
            raise MissingDataError(f"{self.path} has no array {name!r}.")
        # A pickle is a program: what came from elsewhere is not run.
        if "pickle" in repr(member.metadata).lower():
            raise CorruptObjectError(
                f"{name!r} of {self.path} holds pickled Python objects, which are not read."
            )
        return member

    def read(self, name: str) -> NDArray[Any]:
        """Return all of an array; the errors are those of `array`."""
        array = self.array(name)
        try:
            return np.asarray(array[...])
        except ProjectCacheError:
            raise
        except Exception as error:
            raise _translated(error, f"{self.path}/{name}") from error

    def _member(self, name: str) -> Any:
        try:
            return self._group.get(name)
        except ProjectCacheError:
            raise
        except Exception as error:
            raise _translated(error, f"{self.path}/{name}") from error


def open_zarr(path: AnyPath) -> Any:
    """Return the zarr group at ``path``, opened for reading only.

    Raises
    ------
    MissingObjectError, CorruptObjectError, DependencyError
        There is no such folder; it is no zarr group; zarr is not installed.
    """
    if not path.is_dir():
        raise MissingObjectError(f"There is no {path}.")
    try:
        import zarr
    except ImportError as error:
        raise DependencyError(
            f"{path} is a zarr folder, and zarr is not installed: pip install 'zarr>=3'."
        ) from error
    try:
        store = (
            zarr.storage.LocalStore(path, read_only=True) if isinstance(path, Path) else _remote_store(path)
        )
        return zarr.open_group(store, mode="r")
    except ProjectCacheError:
        raise
    except Exception as error:
        raise _translated(error, str(path)) from error


def _translated(error: Exception, what: str) -> ProjectCacheError:
    """Return this package's word for what zarr and its codecs say, which is of many kinds."""
    text = str(error)
    if "pickle" in text.lower():
        return CorruptObjectError(f"{what} holds pickled Python objects, which are not read.")
    if "wavpack" in text.lower():
        return DependencyError(
            f"{what} is compressed with WavPack, and its codec is not installed: pip install wavpack-numcodecs."
        )
    if "codec" in text.lower() and ("not available" in text or "unknown" in text.lower()):
        return DependencyError(f"{what} is compressed with a codec that is not installed ({text}).")
    return CorruptObjectError(
        f"{what} cannot be read ({text or type(error).__name__}): it is damaged. Copy it again."
    )


def _remote_store(root: RemotePath) -> Any:
    """Return a zarr store that reads the files below a remote folder."""
    from zarr.abc.store import ByteRequest, OffsetByteRequest, RangeByteRequest, Store, SuffixByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype

    class PlaceStore(Store):
        """The files below a remote folder, for reading."""

        def __init__(self) -> None:
            super().__init__(read_only=True)

        def __eq__(self, other: object) -> bool:
            return isinstance(other, PlaceStore) and other.root == self.root

        root = None

        @property
        def supports_writes(self) -> bool:
            return False

        @property
        def supports_deletes(self) -> bool:
            return False

        @property
        def supports_listing(self) -> bool:
            return True

        async def get(
            self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
        ) -> Buffer | None:
            path = root / key
            try:
                if byte_range is None:
                    content = path.read_bytes()
                elif isinstance(byte_range, RangeByteRequest):
                    content = path.read_range(byte_range.start, byte_range.end)
                else:
                    size = path.stat().st_size
                    start = (
                        byte_range.offset
                        if isinstance(byte_range, OffsetByteRequest)
                        else max(0, size - byte_range.suffix)
                        if isinstance(byte_range, SuffixByteRequest)
                        else 0
                    )
                    content = path.read_range(start, size)
            except MissingObjectError:
                return None
            return prototype.buffer.from_bytes(content)

        async def get_partial_values(
            self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
        ) -> list[Buffer | None]:
            return [await self.get(key, prototype, byte_range) for key, byte_range in key_ranges]

        async def exists(self, key: str) -> bool:
            return (root / key).is_file()

        async def set(self, key: str, value: Buffer) -> None:
            raise NotImplementedError

        async def delete(self, key: str) -> None:
            raise NotImplementedError

        async def list(self) -> AsyncIterator[str]:
            async for key in self.list_prefix(""):
                yield key

        async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
            for path in (root / prefix).iterdir():
                key = f"{prefix}{path.name}"
                if path.is_dir():
                    async for inner in self.list_prefix(f"{key}/"):
                        yield inner
                else:
                    yield key

        async def list_dir(self, prefix: str) -> AsyncIterator[str]:
            for path in (root / prefix).iterdir():
                yield path.name

    return PlaceStore()
