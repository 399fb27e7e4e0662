"""Builds that failed: remembered, with their log, until an input or a parameter changes."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from project_cache.errors import StoreError
from project_cache.files import atomic_write, hidden

__all__ = ["Failure"]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an object could not be built.

    The note lies where the object would, under a hidden name; the object's name holds the digest of the recipe, so
    a changed input is another object, and has no such note.

    Attributes
    ----------
    error : str
        What went wrong, in a sentence.
    log : str
        The traceback.
    when : str
        ISO 8601.
    """

    error: str
    log: str = ""
    when: str = ""

    @staticmethod
    def path_for(final: Path) -> Path:
        """Return where the note on an object lies."""
        return hidden(final, "failed.json")

    @classmethod
    def read(cls, final: Path) -> Failure | None:
        """Return the note on an object, or None."""
        try:
            data = json.loads(cls.path_for(final).read_text("utf-8"))
            return cls(str(data["error"]), str(data.get("log", "")), str(data.get("when", "")))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """Return a note on an error."""
        import traceback

        log = "".join(traceback.format_exception(error))
        return cls(str(error), log, datetime.now(UTC).isoformat(timespec="seconds"))

    def write(self, final: Path) -> None:
        """Put it where it belongs; a folder that cannot be written to goes without."""
        with contextlib.suppress(StoreError), atomic_write(self.path_for(final), durable=False) as temporary:
            temporary.write_text(json.dumps(dataclasses.asdict(self), indent=1), "utf-8")

    @classmethod
    def forget(cls, final: Path) -> None:
        """Remove the note on an object."""
        with contextlib.suppress(OSError):
            cls.path_for(final).unlink()
