"""The recipe of a build: the digests of its inputs, the versions and parameters that went in."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from project_cache._version import __version__
from project_cache.errors import MissingObjectError, StoreError
from project_cache.files import atomic_write, new_hasher
from project_cache.raw.places import AnyPath
from project_cache.raw.stores import RemoteStat

if TYPE_CHECKING:
    from project_cache.build.plan import BuildPlan

__all__ = ["Recipe", "digest_of_input", "inputs_of", "read_known", "unchanged", "write_known"]

#: files up to this size are digested whole; of larger ones, their size and samples of their bytes
WHOLE_BYTES = 64 << 20
SAMPLES, SAMPLE_BYTES = 32, 64 << 10
#: libraries whose version may change what a build makes
LIBRARIES = ("numpy", "scipy", "pandas", "h5py", "hdmf", "pynwb", "ndx-events", "probeinterface")
#: the array of a compressed recording
TRACES = "traces_seg0"
#: the namespace of the identifiers that derive from recipes
NAMESPACE = uuid.UUID("6f3ad0a5-3f0c-5b0e-9c8e-0d5b6f1c2a77")


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that decides what a build makes.

    Attributes
    ----------
    session : str
        The session's id.
    inputs : mapping
        Each file that may be read, by its path below the session's folder, to its digest. A file of more than
        64 MiB is told by its size and 32 samples of 64 KiB, evenly spaced, first and last bytes included
        (``"sampled:…"``): a build does not read 100 GB to find out that nothing has changed. An object in S3 is told
        by its size and ETag (``"etag:…"``), which its listing gives: nothing is fetched for that.
    parameters : mapping
        Options, and what the caller said of the recording.
    versions : mapping
        This package's and the libraries' versions.
    """

    session: str
    inputs: Mapping[str, str]
    parameters: Mapping[str, Any]
    versions: Mapping[str, str]

    @classmethod
    def of(
        cls,
        session: str,
        files: Mapping[str, AnyPath],
        parameters: Mapping[str, Any],
        known: Mapping[str, tuple[int, int, str]] | None = None,
    ) -> Recipe:
        """Return the recipe for a session's files as they are now.

        Parameters
        ----------
        session : str
            Its id.
        files : mapping
            The name that a file goes by in the recipe, to the file.
        parameters : mapping
            What JSON can hold.
        known : mapping, optional
            Digests from before, by name: ``(size, mtime_ns, digest)``. A file whose size and time are still the
            same is not read again.
        """
        known = known or {}
        inputs = {}
        for name in sorted(files):
            size, mtime_ns, tag = _status(files[name])
            before = known.get(name)
            if tag is not None:
                inputs[name] = tag
            elif before is not None and before[:2] == (size, mtime_ns) and mtime_ns:
                inputs[name] = before[2]
            else:
                inputs[name] = digest_of_input(files[name], size)
        return cls(session, inputs, _plain(parameters), _versions())

    @property
    def digest(self) -> str:
        """The recipe in 16 hexadecimal digits: what a built object is told from others of its session by."""
        hasher = new_hasher("blake3")
        hasher.update(self.json().encode())
        return str(hasher.hexdigest())[:16]

    @property
    def identifier(self) -> str:
        """A UUID that derives from the recipe: the NWB file's identifier."""
        return str(uuid.uuid5(NAMESPACE, self.json()))

    def json(self) -> str:
        """Return the recipe as JSON, the same text for the same recipe."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True, indent=1)


def _versions() -> dict[str, str]:
    found = {"project_cache": __version__}
    for library in LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found


def _plain(value: Any) -> Any:
    """Return parameters as JSON has them."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in sorted(value.items(), key=lambda item: str(item[0]))}
    if isinstance(value, str | bool | int | float) or value is None:
        return value
    if isinstance(value, Iterable):
        return [_plain(v) for v in value]
    return str(value)


def _status(file: AnyPath) -> tuple[int, int, str | None]:
    """Return a file's size, its modification time (0: not known), and what else tells it without reading it."""
    try:
        status = file.stat()
    except OSError as error:
        raise MissingObjectError(f"{file} has gone, or cannot be looked at ({error}).") from error
    if not isinstance(status, RemoteStat):
        return status.st_size, status.st_mtime_ns, None
    etag = (status.etag or "").strip('"')
    return status.st_size, 0, f"etag:{status.st_size}:{etag}" if etag else None


def digest_of_input(file: AnyPath, size: int) -> str:
    """Return the digest of an input: of all its bytes, or of samples of a large file (``"sampled:…"``)."""
    hasher = new_hasher("blake3")
    with file.open("rb") as stream:
        if size <= WHOLE_BYTES:
            while block := stream.read(1 << 20):
                hasher.update(block)
            return f"blake3:{hasher.hexdigest()}"
        hasher.update(str(size).encode())
        for n in range(SAMPLES):
            stream.seek(n * (size - SAMPLE_BYTES) // (SAMPLES - 1))
            hasher.update(stream.read(SAMPLE_BYTES))
    return f"sampled:{hasher.hexdigest()}"


def inputs_of(folders: Mapping[str, AnyPath | None]) -> dict[str, AnyPath]:
    """Return every file below the folders, by the name it goes by in a recipe.

    Parameters
    ----------
    folders : mapping
        What the folder is (``raw``, ``sorted``, ``annotations``), to the folder or file, or None.

    Notes
    -----
    Of compressed recordings (``traces_seg0`` in a ``.zarr``, which may be 100,000 files) only what describes the
    array is taken.
    """
    found: dict[str, AnyPath] = {}
    for what, folder in folders.items():
        if folder is None:
            continue
        if isinstance(folder, Path):
            found |= {f"{what}/{name}": path for name, path in _walk(folder)}
        else:
            found |= {f"{what}/{name}": path for name, path in _walk_remote(folder, "")}
    return found


def _walk(folder: Path) -> Iterable[tuple[str, Path]]:
    if folder.is_file():
        yield folder.name, folder
        return
    for directory, names, files in os.walk(folder):
        here = Path(directory)
        names[:] = sorted(n for n in names if not n.startswith("."))
        chunked = TRACES in here.relative_to(folder).parts
        for name in sorted(files):
            if name.startswith(".") and not name.startswith(".z"):
                continue
            if chunked and not (name.startswith(".z") or name == "zarr.json"):
                continue
            path = here / name
            yield path.relative_to(folder).as_posix(), path


def _walk_remote(folder: Any, below: str) -> Iterable[tuple[str, Any]]:
    if folder.is_file():
        yield folder.name, folder
        return
    for path in sorted(folder.iterdir(), key=lambda p: str(p.name)):
        name = f"{below}{path.name}"
        if path.is_dir():
            if path.name != TRACES:
                yield from _walk_remote(path, f"{name}/")
        elif not path.name.startswith("."):
            yield name, path


def read_known(path: Path) -> dict[str, tuple[int, int, str]]:
    """Return the digests that :func:`write_known` noted, by name: size, modification time, digest."""
    try:
        data = json.loads(path.read_text("utf-8"))
        return {str(name): (int(size), int(time), str(digest)) for name, (size, time, digest) in data.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def write_known(path: Path, files: Mapping[str, AnyPath], recipe: Recipe) -> None:
    """Note the digests of a recipe's inputs, so that unchanged files need not be read again."""
    noted = {
        name: (*_status(file)[:2], recipe.inputs[name])
        for name, file in files.items()
        if name in recipe.inputs
    }
    # where nothing can be written the files are read again the next time
    with contextlib.suppress(StoreError), atomic_write(path, durable=False) as temporary:
        temporary.write_text(json.dumps(noted), "utf-8")


def unchanged(note: Path, plan: BuildPlan) -> bool:
    """Return whether a recording's files still have the sizes and times (in S3, ETags) that were noted of them."""
    known = read_known(note)
    files = plan.inputs()
    if not known or set(known) != set(files):
        return False
    return all(_same(file, known[name]) for name, file in files.items())


def _same(file: AnyPath, noted: tuple[int, int, str]) -> bool:
    """Return whether a file is still what was noted of it, as far as can be told without reading it."""
    size, mtime_ns, tag = _status(file)
    return noted[:2] == (size, mtime_ns) if tag is None else noted[2] == tag
