"""One lock for each object, between processes: to save work, never for correctness."""

from __future__ import annotations

import contextlib
import errno
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from project_cache.errors import LockTimeoutError
from project_cache.files import hidden, translated
from project_cache.store.owners import owners

__all__ = ["object_lock"]

_log = logging.getLogger("project_cache")

#: how long a process waits for another before it says so
PATIENCE_S = 5.0
#: errors of file systems that cannot lock, or folders that cannot hold a lock file
_LOCKLESS = {
    errno.ENOLCK,
    errno.ENOSYS,
    errno.EOPNOTSUPP,
    errno.EINVAL,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
}


@contextlib.contextmanager
def object_lock(
    final: Path,
    what: str,
    *,
    timeout: float | None = None,
    patience: float = PATIENCE_S,
    arrived: Callable[[], bool] = lambda: False,
) -> Iterator[bool]:
    """Hold the lock of an object while the block runs; yield whether it is held.

    It is not where the file system cannot lock, or where the object has arrived while this process waited (so
    that a lock that is never given back, as on some network drives, does not keep a finished file from anyone).

    Parameters
    ----------
    final : pathlib.Path
        The object's place; the lock file lies beside it, hidden, and stays (removing it would race).
    what : str
        What messages call the object.
    timeout : float, optional
        Seconds after which to give up; by default it waits as long as the other side shows life.
    patience : float
        Seconds of waiting after which, and every twelve times as long, a message says for what and whom.
    arrived : callable
        Whether the object is there by now.

    Raises
    ------
    LockTimeoutError
        The lock was not to be had in time.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(hidden(final, "lock"), thread_local=False, is_singleton=False, mode=0o666)
    held = False
    began = time.monotonic()
    said = patience
    try:
        while True:
            try:
                lock.acquire(timeout=min(1.0, patience) if timeout is None else min(1.0, patience, timeout))
            except Timeout:
                waited = time.monotonic() - began
                if arrived():
                    break
                if timeout is not None and waited > timeout:
                    raise LockTimeoutError(
                        f"Another process has been holding {lock.lock_file} for {waited:.0f} s ({_whom(final)}). "
                        f"Wait for it or end it; if there is none, delete that file."
                    ) from None
                if waited >= said:
                    said += 12 * patience
                    _log.warning("waiting for %s: %s (%.0f s so far)", what, _whom(final), waited)
            except OSError as error:
                if error.errno not in _LOCKLESS:
                    with translated(Path(lock.lock_file)):
                        raise
                _log.debug("no lock on %s: %s", final, error)
                break
            else:
                held = True
                break
        yield held
    finally:
        if held:
            lock.release()


def _whom(final: Path) -> str:
    found = [f"process {j.pid} on {j.host} has {size / 1e6:,.0f} MB of it" for j, size in owners(final)]
    return " and ".join(found) or "another process is at work on it"
