"""One request, made again while the line or the server fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from project_cache.errors import ServerError, TransferError
from project_cache.transfer.plan import passing
from project_cache.transfer.retry import Budget
from project_cache.transfer.transport import Answer, Dropped

__all__ = ["ask"]

_A = TypeVar("_A", bound=Answer)
_T = TypeVar("_T")


def ask(send: Callable[[], _A], take: Callable[[_A], _T], *, shown: str, budget: Budget) -> _T:
    """Return what ``take`` makes of an answer.

    Parameters
    ----------
    send : callable
        Makes the request and returns the answer, which is closed here.
    take : callable
        Given an answer of a status that does not pass by itself. Where it raises Dropped, there is another request.
    shown : str
        What errors call the object: its address, without secrets.
    budget : Budget
        How often and how long it is tried; the requests are counted there.

    Raises
    ------
    ServerError
        The server said "later" for all the tries there were (``.status``).
    TransferError
        The line failed for as often.
    """
    while True:
        failure: TransferError
        retry_after = None
        budget.requests += 1
        try:
            answer = send()
            try:
                if not passing(answer.status):
                    return take(answer)
                failure = ServerError(
                    f"{shown} could not be read: the server answered {answer.status}.", answer.status
                )
                retry_after = answer.headers.get("retry-after")
            finally:
                answer.close()
        except Dropped as dropped:
            failure = TransferError(f"{shown} could not be read: {dropped}.")
        if not budget.failed():
            raise failure
        budget.wait(retry_after)
