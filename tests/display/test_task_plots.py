"""Plots of sessions with a task."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from project_cache.errors import ConfigurationError
from project_cache.visualization import plot_drift_map, plot_performance, plot_receptive_fields

PERFORMANCE = pd.DataFrame(
    {
        "block_index": [0, 1, 2],
        "rewarded_modality": ["aud", "vis", "aud"],
        "vis_target_response_rate": [0.1, 0.9, np.nan],
        "aud_target_response_rate": [1.0, 0.2, 0.8],
    }
)
MAPS = pd.DataFrame(
    {
        "unit_id": [f"1_2024-01-01_A-{n}" for n in range(3)],
        "rf_map": [np.arange(6.0).reshape(2, 3) * n for n in range(3)],
        "rf_p_value": [0.5, 0.001, 0.01],
    }
)


def test_performance_has_a_line_for_each_target() -> None:
    (axes,) = plot_performance(PERFORMANCE, title="a session").axes
    assert [line.get_label() for line in axes.lines] == [
        "target among the gratings",
        "target among the sounds",
    ]
    np.testing.assert_array_equal(axes.lines[1].get_ydata(), [1.0, 0.2, 0.8])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0\nsounds", "1\ngratings", "2\nsounds"]
    assert axes.get_title() == "a session"


def test_receptive_fields_are_those_that_are_asked_for_or_the_surest() -> None:
    figure = plot_receptive_fields(MAPS, columns=2)
    shown = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in shown] == ["A-1: 5/s", "A-2: 10/s", "A-0: 0/s"]
    np.testing.assert_array_equal(shown[0].images[0].get_array(), MAPS.rf_map[1])
    assert len(plot_receptive_fields(MAPS, ["1_2024-01-01_A-2"], columns=1).axes) == 1
    with pytest.raises(ConfigurationError, match="A-7"):
        plot_receptive_fields(MAPS, ["A-7"])


def test_a_drift_map_is_shown_as_it_is() -> None:
    image = np.arange(12).reshape(3, 4)
    (axes,) = plot_drift_map(image, title="probeA").axes
    np.testing.assert_array_equal(axes.images[0].get_array(), image)
