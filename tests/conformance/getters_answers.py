"""What a session answers to a list of expressions, as plain data. Run by AllenSDK's Python and by ours, so: no imports but numpy, pandas."""

from __future__ import annotations

import contextlib
import datetime
import io
import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd


def plain(value: Any, arrays: dict[str, Any], name: str) -> Any:
    """Return a value as JSON has it; arrays of numbers go into ``arrays``, under a name."""
    if isinstance(value, pd.DataFrame):
        if value.empty and not len(value.columns) and not len(value.index):
            # of which type the index of nothing is depends on the version of pandas
            return {"kind": "nothing"}
        index = value.index
        levels = [index.get_level_values(n) for n in range(index.nlevels)]
        return {
            "kind": "frame",
            "index": [
                [str(level.name), plain(np.asarray(level), arrays, f"{name}/index{n}")]
                for n, level in enumerate(levels)
            ],
            "columns": {str(c): plain(value[c].to_numpy(), arrays, f"{name}/{c}") for c in value.columns},
        }
    if hasattr(value, "dims"):
        return {
            "kind": "labelled",
            "name": value.name,
            "dims": list(value.dims),
            "attrs": dict(value.attrs),
            "values": plain(value.values, arrays, f"{name}/values"),
            "coords": {
                c: [list(v.dims), plain(v.values, arrays, f"{name}/{c}")] for c, v in value.coords.items()
            },
        }
    if isinstance(value, np.ndarray):
        if value.dtype.kind in "iufb":
            arrays[name] = value
            return {"kind": "array", "dtype": str(value.dtype), "shape": list(value.shape), "at": name}
        # text is of one type in one version of pandas, and of another in the next
        cells = [each.tolist() if isinstance(each, np.ndarray) else each for each in value.tolist()]
        return {"kind": "objects", "items": [plain(v, arrays, f"{name}/{n}") for n, v in enumerate(cells)]}
    if isinstance(value, dict):
        return {"kind": "dict", "items": {str(k): plain(v, arrays, f"{name}/{k}") for k, v in value.items()}}
    if isinstance(value, (list, tuple)):
        return [plain(v, arrays, f"{name}/{n}") for n, v in enumerate(value)]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (datetime.datetime, Path)):
        return str(value)
    return value


def answers(session: Any, expressions: dict[str, str], where: Path) -> None:
    """Write what a session answers: ``answers.json`` and ``arrays.npz``."""
    told: dict[str, Any] = {}
    arrays: dict[str, Any] = {}
    for name, expression in expressions.items():
        with warnings.catch_warnings(record=True) as warned, contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("always")
            try:
                told[name] = {
                    "value": plain(eval(expression, {"s": session, "np": np, "pd": pd}), arrays, name)
                }
            except Exception as error:
                told[name] = {"error": type(error).__name__, "said": str(error)[:200]}
        told[name]["warned"] = any(issubclass(w.category, UserWarning) for w in warned)
    where.mkdir(parents=True, exist_ok=True)
    (where / "answers.json").write_text(json.dumps(told))
    np.savez(where / "arrays.npz", **arrays)


def main() -> None:
    """Write AllenSDK's answers."""
    from allensdk.brain_observatory.ecephys.ecephys_project_cache import EcephysProjectCache

    # It opens the file, and goes through all electrodes of all probes, at each access. Once is enough to ask.
    from allensdk.brain_observatory.ecephys.probes import Probes
    from allensdk.brain_observatory.nwb.nwb_api import NwbApi

    opened: dict[Any, Any] = {}
    built: dict[Any, Any] = {}
    open_file, build = NwbApi.nwbfile.fget, Probes.from_nwb

    def nwbfile(self: Any) -> Any:
        if self.path not in opened:
            opened[self.path] = open_file(self)
        return opened[self.path]

    def from_nwb(nwbfile: Any) -> Any:
        if id(nwbfile) not in built:
            built[id(nwbfile)] = build(nwbfile=nwbfile)
        return built[id(nwbfile)]

    NwbApi.nwbfile = property(nwbfile)
    Probes.from_nwb = staticmethod(from_nwb)
    for name, job in json.loads(Path(sys.argv[1]).read_text()).items():
        folder, session_id = Path(job["folder"]), job["session_id"]
        cache = EcephysProjectCache.from_warehouse(manifest=str(folder / "manifest.json"), fetch_tries=1)
        session = cache.get_session_data(session_id)
        answers(session, job["expressions"], Path(sys.argv[2]) / name)


if __name__ == "__main__":
    main()
