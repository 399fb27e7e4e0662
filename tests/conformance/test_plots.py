"""The plots beside a session: what is on the axes of AllenSDK's and of ours."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

pytestmark = pytest.mark.conformance

DRAW = '''
import json
import matplotlib
matplotlib.use("agg")
import numpy as np
import pandas as pd
import xarray
from {module} import plot_mean_waveforms, plot_spike_counts, raster_plot

def labels(axes):
    return [axes.get_xlabel(), axes.get_ylabel(), axes.get_title()]

rng = np.random.default_rng(1)
spikes = pd.DataFrame(
    {{"stimulus_presentation_id": 3, "unit_id": rng.choice([9, 7, 5, 2], 60)}},
    index=pd.Index(np.sort(rng.uniform(1, 3, 60)), name="spike_time"),
)
(axes,) = raster_plot(spikes, cycle_colors=True).axes
drawn = []
for lines in axes.collections:
    segments = lines.get_segments()
    colours = np.broadcast_to(lines.get_colors(), (len(segments), 4))
    drawn += [[*segment.ravel().tolist(), *colour] for segment, colour in zip(segments, colours.tolist())]
said = {{"raster": [sorted(drawn), labels(axes), list(axes.get_xlim()), list(axes.get_ylim()), list(axes.get_yticks())]}}

counts = xarray.DataArray(rng.poisson(2.0, (50, 7)), dims=("time", "unit_id"))
figure = plot_spike_counts(counts, np.linspace(-0.1, 0.4, 50), "a mean", "a title", xtick_step=15)
axes, bar = figure.axes
said["counts"] = [
    np.asarray(axes.images[0].get_array()).tolist(), labels(axes), bar.get_ylabel(), list(figure.get_size_inches()),
    list(axes.get_xlim()), list(axes.get_ylim()), [t.get_text() for t in axes.get_xticklabels()], list(axes.get_yticks()),
]

waveforms = {{
    unit: xarray.DataArray(
        rng.normal(size=(2, 41)), coords={{"channel_id": [11, 12], "time": np.arange(41) / 30000}}, dims=("channel_id", "time")
    )
    for unit in (1, 2)
}}
(axes,) = plot_mean_waveforms(waveforms, [2, 1], {{1: 11, 2: 12}}).axes
said["waveforms"] = [
    [line.get_ydata().tolist() for line in axes.get_lines()], labels(axes), [t.get_text() for t in axes.get_legend().get_texts()],
]
def rounded(value):
    """Versions of matplotlib differ in the last digit of a colour."""
    return [rounded(v) for v in value] if isinstance(value, list) else round(float(value), 9) if not isinstance(value, str) else value

print(json.dumps({{name: rounded(facts) for name, facts in said.items()}}))
'''


def test_the_same_is_on_the_axes(allensdk: Callable[..., str]) -> None:
    theirs = allensdk(DRAW.format(module="allensdk.brain_observatory.ecephys.visualization"))
    script = DRAW.format(module="project_cache.visualization")
    ours = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert json.loads(ours.splitlines()[-1]) == json.loads(theirs.splitlines()[-1])
