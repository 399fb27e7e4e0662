"""Every error that this package raises, in one tree.

Each inherits the built-in that callers already catch, and its text says what happened, to which file,
and what to do about it::

    ProjectCacheError
    ├── ManifestError (ValueError)              the manifest is missing, broken, unknown or not to be trusted
    ├── UnknownObjectError (KeyError)           no such session, probe or kind in this project
    ├── ConfigurationError (ValueError)         an argument that cannot work
    ├── DependencyError (ImportError)           a library is missing, or is one that loses data
    ├── StoreError (OSError)
    │   ├── MissingObjectError (FileNotFoundError)   not in the cache, and no source has it
    │   │   └── OfflineError                         … and the network was not to be used
    │   ├── CorruptObjectError                  the bytes are not those that were meant
    │   ├── UnreadableObjectError               the file may be good, but cannot be read here
    │   ├── ReadOnlyCacheError (PermissionError)
    │   ├── DiskFullError
    │   └── LockTimeoutError (TimeoutError)
    ├── TransferError (ConnectionError)         bytes did not arrive
    │   ├── TransferTimeoutError (TimeoutError)
    │   ├── ServerError                         an HTTP status that says no; has ``.status``
    │   ├── ContentError                        the server sent something else than was asked for
    │   └── WarehouseError (RuntimeError)       the warehouse's own word that a query failed
    ├── NWBError (ValueError)
    │   ├── NotNWBError                         not HDF5, or not NWB 2
    │   └── MissingDataError (AttributeError, KeyError)  this recording has no such data
    │       └── ComponentUnavailable            … and no build could give it: it was not recorded, or not sorted
    ├── BuildError (RuntimeError)               a session could not be built from its raw files
    └── PublishConflictError (RuntimeError)     somebody else published a version in the meantime
"""

from __future__ import annotations

__all__ = [
    "BuildError",
    "ComponentUnavailable",
    "ConfigurationError",
    "ContentError",
    "CorruptObjectError",
    "DependencyError",
    "DiskFullError",
    "LockTimeoutError",
    "ManifestError",
    "MissingDataError",
    "MissingObjectError",
    "NWBError",
    "NotNWBError",
    "OfflineError",
    "ProjectCacheError",
    "PublishConflictError",
    "ReadOnlyCacheError",
    "ServerError",
    "StoreError",
    "TransferError",
    "TransferTimeoutError",
    "UnknownObjectError",
    "UnreadableObjectError",
    "WarehouseError",
]


class ProjectCacheError(Exception):
    """The root: ``except ProjectCacheError`` catches all that this package raises of its own."""

    # KeyError and OSError would print their arguments' repr; people should read a sentence.
    def __str__(self) -> str:
        return str(self.args[0]) if self.args else type(self).__name__


class ManifestError(ProjectCacheError, ValueError):
    """A manifest is missing, empty, truncated, of an unknown version, or asks for what it may not."""


class UnknownObjectError(ProjectCacheError, KeyError):
    """The project has no session, probe, session type or kind of object of that name."""


class ConfigurationError(ProjectCacheError, ValueError):
    """An argument or environment variable that cannot work."""


class DependencyError(ProjectCacheError, ImportError):
    """A library is missing, or is a version that is known to lose data."""


class StoreError(ProjectCacheError, OSError):
    """Something about a file in the cache folder."""


class MissingObjectError(StoreError, FileNotFoundError):
    """An object is in no layer of the cache and no source has it."""


class OfflineError(MissingObjectError):
    """An object is not in the cache, and the network was not to be used."""


class CorruptObjectError(StoreError):
    """The bytes of an object are not those that were meant: truncated, or another digest."""


class UnreadableObjectError(StoreError):
    """A file that may well be good cannot be read in this environment (permissions, HDF5 filters)."""


class ReadOnlyCacheError(StoreError, PermissionError):
    """An object would have to be written, and no layer of the cache can be written to."""


class DiskFullError(StoreError):
    """No space (or quota) is left where the cache is."""


class LockTimeoutError(StoreError, TimeoutError):
    """Another process held an object's lock for longer than this one would wait."""


class TransferError(ProjectCacheError, ConnectionError):
    """Bytes did not arrive, for all the retries that were allowed."""


class TransferTimeoutError(TransferError, TimeoutError):
    """The other side stopped answering."""


class ServerError(TransferError):
    """The server answered with a status that says no.

    Attributes
    ----------
    status : int
        The HTTP status.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status

    def __reduce__(self) -> tuple[type[ServerError], tuple[str, int]]:
        return type(self), (str(self), self.status)


class ContentError(TransferError):
    """The server sent something else than was asked for: a web page, too few bytes, another part."""


class WarehouseError(TransferError, RuntimeError):
    """The warehouse answered, and said that the query failed."""


class NWBError(ProjectCacheError, ValueError):
    """Something about the inside of an NWB file."""


class NotNWBError(NWBError):
    """The file is not HDF5, or not NWB 2."""


class MissingDataError(NWBError, AttributeError, KeyError):
    """The recording has no such data (no eye tracking, no units, …)."""


class ComponentUnavailable(MissingDataError):  # noqa: N818 - the name that users of such sessions know
    """A recording cannot have this component: what it is made from was not recorded, or is not here."""


class BuildError(ProjectCacheError, RuntimeError):
    """A session could not be built from its raw files; the text says which part of it, and why."""


class PublishConflictError(ProjectCacheError, RuntimeError):
    """Somebody else published a version in the meantime; theirs stands, and publishing again adds one to it."""
