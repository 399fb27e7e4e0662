"""Progress bars: in a terminal and in a notebook, and silence where the output is piped."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["bar", "watched"]


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
