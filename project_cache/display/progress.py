"""Progress bars: in a terminal and in a notebook, and silence where the output is piped."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["Together", "bar", "watched"]


def watched() -> bool:
    """Return whether somebody sees what is written to stderr: a terminal, or a notebook.

    ``PROJECT_CACHE_PROGRESS=0`` says that nobody does.
    """
    if os.environ.get("PROJECT_CACHE_PROGRESS") == "0":
        return False
    if sys.stderr is not None and sys.stderr.isatty():
        return True
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None and hasattr(ipython, "get_ipython") else None
    return shell is not None and "IPKernelApp" in getattr(shell, "config", {})


@contextlib.contextmanager
def bar(
    what: str, *, unit: str = "B", show: bool | None = None
) -> Iterator[Callable[[int, int | None], None]]:
    """Yield a function that is told how much is done, and of how much; it draws a bar if anybody watches.

    Parameters
    ----------
    what : str
        The text in front.
    unit : str
        ``"B"`` is shown in kB, MB, …
    show : bool, optional
        By default only if :func:`watched`.
    """
    if not (watched() if show is None else show):
        yield lambda done, total: None
        return
    with warnings.catch_warnings():
        # tqdm.auto warns where ipywidgets is missing, and falls back to text by itself
        warnings.simplefilter("ignore")
        from tqdm.auto import tqdm
    # made when the first bytes arrive, and drawn half a second later: what is quick shows none
    drawn: Any = None

    def told(done: int, total: int | None) -> None:
        nonlocal drawn
        if drawn is None:
            drawn = tqdm(
                desc=what,
                unit=unit,
                unit_scale=unit == "B",
                unit_divisor=1000,
                total=total,
                mininterval=0.2,
                delay=0.5,
            )
        if total is not None and drawn.total != total:
            drawn.total = total
        drawn.update(done - drawn.n)

    try:
        yield told
    finally:
        if drawn is not None:
            drawn.close()


class Together:
    """Many transfers in one bar: the bytes of all of them, of all that is known of yet.

    Parameters
    ----------
    told : callable
        What :func:`bar` yields.
    """

    def __init__(self, told: Callable[[int, int | None], None]) -> None:
        self._told = told
        self._guard = threading.Lock()
        self._done: dict[Any, int] = {}
        self._totals: dict[Any, int] = {}

    @contextlib.contextmanager
    def of(self, key: Any) -> Iterator[Callable[[int, int | None], None]]:
        """Yield the function that is told of one of the transfers."""

        def one(done: int, total: int | None) -> None:
            with self._guard:
                self._done[key] = done
                self._totals[key] = max(done, total or 0)
                self._told(sum(self._done.values()), sum(self._totals.values()))

        yield one
