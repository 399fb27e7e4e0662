"""What decides whether a unit is good: the share of its spikes that were missed, and the rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from project_cache.build.drift import DRIFT_THRESHOLD

__all__ = ["DESCRIPTIONS", "amplitude_cutoff", "default_qc"]

#: bins of the histogram of amplitudes, and the standard deviation that it is smoothed with, in bins
BINS = 100
SMOOTHING = 3
#: the fewest spikes of which the shape of the histogram says something
FEWEST_SPIKES = 500

MOST_ISI_VIOLATIONS = 0.5
MOST_CUTOFF = 0.1
LEAST_PRESENCE = 0.7

_RULES: Mapping[str, Callable[[Any], Any]] = {
    "activity_drift": lambda values: values < DRIFT_THRESHOLD,
    "isi_violations_ratio": lambda values: values <= MOST_ISI_VIOLATIONS,
    "amplitude_cutoff": lambda values: values <= MOST_CUTOFF,
    "presence_ratio": lambda values: values >= LEAST_PRESENCE,
    "decoder_label": lambda values: values != "noise",
}

#: what the metrics of the sorting pipeline mean
DESCRIPTIONS: Mapping[str, str] = {
    "amplitude_cutoff": "Estimated share of the unit's spikes that are too small to have been detected, from its spike "
    "amplitudes: what is beyond the bin of the smoothed histogram (100 bins, sigma of 3) that is as low as the first.",
    "sorter_amplitude_cutoff": "Share of spikes missed, as the sorting pipeline estimated it.",
    "amplitude_cv_median": "Median of the coefficient of variation of spike amplitudes in short stretches of time.",
    "amplitude_cv_range": "Spread (5th to 95th percentile) of the coefficient of variation of spike amplitudes.",
    "amplitude_median": "Median spike amplitude, in microvolts.",
    "drift_ptp": "Largest movement of the unit's spikes along the probe, in micrometers.",
    "drift_std": "Standard deviation of the position of the unit's spikes along the probe, in micrometers.",
    "drift_mad": "Median absolute deviation of the position of the unit's spikes along the probe, in micrometers.",
    "firing_range": "Spread (5th to 95th percentile) of the firing rate in stretches of time, in spikes/s.",
    "firing_rate": "Mean firing rate over the recording, in spikes/s.",
    "isi_violations_ratio": "Rate of refractory-period violations relative to the unit's own firing rate squared: "
    "an estimate of contamination, which may exceed 1.",
    "isi_violations_count": "Number of pairs of spikes closer than the refractory period.",
    "num_spikes": "Number of spikes.",
    "presence_ratio": "Share of the recording in which the unit fired.",
    "rp_contamination": "Contamination estimated from refractory-period violations.",
    "rp_violations": "Number of refractory-period violations.",
    "sliding_rp_violation": "Lowest contamination that can be excluded over a range of refractory periods.",
    "snr": "Amplitude of the mean waveform on the peak channel over the noise of that channel.",
    "sync_spike_2": "Share of spikes that coincide with those of at least one other unit.",
    "sync_spike_4": "Share of spikes that coincide with those of at least three other units.",
    "sync_spike_8": "Share of spikes that coincide with those of at least seven other units.",
    "d_prime": "Separation of the unit from others in the space of principal components, by linear discriminants.",
    "isolation_distance": "Mahalanobis distance, squared, within which as many spikes of others are as the unit has.",
    "l_ratio": "Contamination by Mahalanobis distances of the spikes of other units.",
    "silhouette": "Silhouette score in the space of principal components.",
    "nn_hit_rate": "Share of the unit's spikes whose nearest neighbours are the unit's.",
    "nn_miss_rate": "Share of the spikes of others whose nearest neighbours are the unit's.",
    "exp_decay": "Decay of the amplitude of the mean waveform with distance from the peak, in 1/micrometers.",
    "half_width": "Width of the trough of the mean waveform at half of its depth, in seconds.",
    "num_negative_peaks": "Number of troughs of the mean waveform.",
    "num_positive_peaks": "Number of peaks of the mean waveform.",
    "peak_to_valley": "Time from the trough to the peak of the mean waveform, in seconds.",
    "peak_trough_ratio": "Height of the peak over the depth of the trough of the mean waveform.",
    "recovery_slope": "Slope of the mean waveform after its peak.",
    "repolarization_slope": "Slope of the mean waveform after its trough.",
    "spread": "Extent of the mean waveform along the probe, in micrometers.",
    "velocity_above": "Speed at which the waveform travels up the probe from the peak channel.",
    "velocity_below": "Speed at which the waveform travels down the probe from the peak channel.",
}


def amplitude_cutoff(amplitudes: npt.ArrayLike) -> float:
    """Return the estimated share of spikes too small to be detected, at most 0.5; NaN for fewer than 500 spikes.

    The histogram of amplitudes (100 bins, smoothed by a Gaussian of 3 bins) is taken to be symmetric: what lies
    beyond the last bin that is at least as high as the first is what is missing at the other end.

    Parameters
    ----------
    amplitudes : array-like, shape (spikes,)
        Of all spikes of a unit, of either sign. Those of the less frequent sign are left out.

    References
    ----------
    Hill, D. N., Mehta, S. B. and Kleinfeld, D. (2011), Quality metrics to accompany spike sorting of
    extracellular signals, Journal of Neuroscience 31, 8699-8705.
    """
    from scipy.ndimage import gaussian_filter1d

    sizes = np.asarray(amplitudes, dtype=np.float64)
    sizes = sizes[np.isfinite(sizes)]
    if np.count_nonzero(sizes < 0) > np.count_nonzero(sizes > 0):
        sizes = -sizes
    sizes = sizes[sizes >= 0]
    if len(sizes) < FEWEST_SPIKES:
        return float("nan")
    found, _ = np.histogram(sizes, bins=BINS)
    smooth = gaussian_filter1d(found.astype(np.float64), SMOOTHING, mode="nearest")
    last = np.flatnonzero(smooth >= smooth[0])[-1]
    missed = smooth[last + 1 :].sum()
    return float(min(missed / (len(sizes) + missed), 0.5))


def default_qc(metrics: Mapping[str, Any], *, with_drift: bool) -> npt.NDArray[np.bool_]:
    """Return which units pass: stable, uncontaminated, complete, present, and not noise.

    That is: ``activity_drift`` < 0.1, ``isi_violations_ratio`` ≤ 0.5, ``amplitude_cutoff`` ≤ 0.1,
    ``presence_ratio`` ≥ 0.7 and ``decoder_label`` other than ``"noise"``. A metric that is NaN is not passed; one
    that the sorting pipeline did not compute is left out.

    Parameters
    ----------
    metrics : mapping of str to array
        Columns by name, such as a frame's.
    with_drift : bool
        Whether drift could be tested at all: without a task it is left out.
    """
    found: list[npt.NDArray[np.bool_]] = []
    for name, passes in _RULES.items():
        if name in metrics and (with_drift or name != "activity_drift"):
            found.append(passes(np.asarray(metrics[name])))
    passed: npt.NDArray[np.bool_] = np.logical_and.reduce(found)
    return passed
