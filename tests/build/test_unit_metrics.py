"""Amplitude cutoff, and the rule that decides which units pass."""

from __future__ import annotations

import numpy as np
import pytest

from project_cache.build.unit_metrics import amplitude_cutoff, default_qc


def test_a_complete_unit_lacks_nothing_and_half_of_a_truncated_one_is_missing() -> None:
    rng = np.random.default_rng(0)
    sizes = rng.normal(100.0, 10.0, 20000)
    assert amplitude_cutoff(sizes) < 0.01
    # of a Gaussian that is cut at its peak half is missing
    assert amplitude_cutoff(sizes[sizes > 100.0]) > 0.3
    # cut one standard deviation below, 16 % are missing
    assert amplitude_cutoff(sizes[sizes > 90.0]) == pytest.approx(0.16, abs=0.04)


def test_the_sign_of_amplitudes_does_not_matter() -> None:
    rng = np.random.default_rng(1)
    sizes = rng.normal(100.0, 10.0, 5000)
    cut = sizes[sizes > 92.0]
    assert amplitude_cutoff(-cut) == amplitude_cutoff(cut)
    # a few of the other sign are left out
    assert amplitude_cutoff(np.concatenate([-cut, [50.0, 60.0]])) == amplitude_cutoff(cut)


def test_few_spikes_say_nothing() -> None:
    sizes = np.random.default_rng(2).normal(100.0, 10.0, 500)
    assert np.isnan(amplitude_cutoff(sizes[:499]))
    assert np.isfinite(amplitude_cutoff(sizes))
    assert np.isnan(amplitude_cutoff([]))
    assert amplitude_cutoff(np.full(600, 100.0)) <= 0.5


def test_a_unit_passes_by_all_rules() -> None:
    good = {
        "activity_drift": 0.05,
        "isi_violations_ratio": 0.5,
        "amplitude_cutoff": 0.1,
        "presence_ratio": 0.7,
        "decoder_label": "sua",
    }
    bad = {
        "activity_drift": 0.1,
        "isi_violations_ratio": 0.51,
        "amplitude_cutoff": np.nan,
        "presence_ratio": 0.69,
        "decoder_label": "noise",
    }
    for changed in (None, *good):
        metrics = {name: [bad[name] if name == changed else value] for name, value in good.items()}
        assert default_qc(metrics, with_drift=True).tolist() == [changed is None]
    # without a task there is no drift to judge by
    undrifted = {name: [value] for name, value in good.items()} | {"activity_drift": [np.nan]}
    assert default_qc(undrifted, with_drift=False).tolist() == [True]
    assert default_qc(undrifted, with_drift=True).tolist() == [False]
    # a sorter without a classifier
    del undrifted["decoder_label"]
    assert default_qc(undrifted, with_drift=False).tolist() == [True]
