"""A simulated rig: raw session folders whose every time is known, and what can go wrong with them.

The readers of this package are judged by it, so nothing here imports them: the files are written with
h5py, numpy, json and zarr, to the formats that the rigs write.
"""

from __future__ import annotations

from project_cache.testing.rig.faults import FAULTS
from project_cache.testing.rig.session import STIMULI, simulate
from project_cache.testing.rig.truth import CameraTruth, SimulatedSession, Truth

__all__ = ["FAULTS", "STIMULI", "CameraTruth", "SimulatedSession", "Truth", "simulate"]
