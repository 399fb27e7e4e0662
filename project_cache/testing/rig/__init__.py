"""A simulated rig: raw session folders whose every time is known, and what can go wrong with them.

The readers of this package are judged by it, so nothing here imports them: the files are written with
h5py, numpy, json and zarr, to the formats that the rigs write. What is simple here is not so on a rig:
streams drift linearly, sounds reach the sync board as they are played, and every mouse is good at its task.

>>> import tempfile
>>> with tempfile.TemporaryDirectory() as folder:
...     session = simulate(folder, blocks=1, trials_per_block=6, mapping_repeats=1, units_per_probe=2)
...     session.path.name, len(session.truth.trials), sorted(session.truth.populations)
('DRpilot_712345_20240502', 6, ['A', 'B'])
"""

from __future__ import annotations

from project_cache.testing.rig.faults import FAULTS
from project_cache.testing.rig.project import REGISTRY, simulate_project
from project_cache.testing.rig.session import STIMULI, simulate
from project_cache.testing.rig.truth import CameraTruth, SimulatedSession, Truth

__all__ = [
    "FAULTS",
    "REGISTRY",
    "STIMULI",
    "CameraTruth",
    "SimulatedSession",
    "Truth",
    "simulate",
    "simulate_project",
]
