"""Tables side by side: which rows belong together, in the order of AllenSDK's, and what is counted over them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from project_cache.tables.csvfile import Array

__all__ = ["counted", "joined", "matched", "uniques"]


def matched(keys: Array, ids: pd.Index[Any]) -> tuple[Array, Array]:
    """Return positions on the left and on the right of the pairs in which a key is an id.

    Pairs come in groups of one key, groups in the order in which their keys appear first, as an inner merge of
    pandas 1.5 has them (later versions keep the order of the left).

    Examples
    --------
    >>> left, right = matched(np.array([7, 5, 9, 7]), pd.Index([5, 7]))
    >>> left.tolist(), right.tolist()
    ([0, 3, 1], [1, 1, 0])
    """
    order = np.argsort(pd.factorize(keys)[0], kind="stable")
    at = ids.get_indexer(pd.Index(keys))[order]
    return order[at >= 0], at[at >= 0]


def joined(left: pd.DataFrame, key: str, right: pd.DataFrame, suffixes: tuple[str, str]) -> pd.DataFrame:
    """Return rows of ``left`` beside those of ``right`` whose id is in the column ``key``.

    Columns that both have get suffixes.
    """
    rows, found = matched(left[key].to_numpy(), right.index)
    table = beside(left.iloc[rows], right.iloc[found], suffixes)
    # AllenSDK's pandas forgets the type of an index when no row is left
    return table if len(table) else table.set_axis(table.index.astype(object))


def beside(left: pd.DataFrame, right: pd.DataFrame, suffixes: tuple[str, str]) -> pd.DataFrame:
    """Return two frames side by side, row by row, with the index of the first."""
    both = left.columns.intersection(right.columns)
    left = left.rename(columns={name: name + suffixes[0] for name in both})
    right = right.rename(columns={name: name + suffixes[1] for name in both})
    return pd.concat([left, right.set_axis(left.index)], axis=1)


def counted(owners: Array, count: int) -> Array:
    """Return how often each of ``count`` owners is named (-1 names none)."""
    return np.bincount(owners[owners >= 0], minlength=count).astype(np.int64)


def uniques(values: Array, owners: Array, count: int) -> Array:
    """Return for each owner the different values, in the order in which they appear first; 0 for one without any.

    Examples
    --------
    >>> uniques(np.array(["b", "a", "b"], dtype=object), np.array([1, 1, 1]), 2).tolist()
    [0, array(['b', 'a'], dtype=object)]
    """
    codes, words = pd.factorize(values, use_na_sentinel=False)
    pairs = pd.unique(owners[owners >= 0].astype(np.int64) * max(len(words), 1) + codes[owners >= 0])
    owner = pairs // max(len(words), 1)
    order = np.argsort(owner, kind="stable")
    ends = np.searchsorted(owner[order], np.arange(count + 1))
    found = np.asarray(words, dtype=values.dtype)[pairs[order] % max(len(words), 1)]
    out = np.empty(count, dtype=object)
    for n in range(count):
        out[n] = found[ends[n] : ends[n + 1]].copy() if ends[n + 1] > ends[n] else 0
    return out
