"""The plots: those of AllenSDK's module of this name, and those of sessions with a task."""

from project_cache.display.plots import plot_mean_waveforms, plot_spike_counts, raster_plot
from project_cache.display.task_plots import plot_drift_map, plot_performance, plot_receptive_fields

__all__ = [
    "plot_drift_map",
    "plot_mean_waveforms",
    "plot_performance",
    "plot_receptive_fields",
    "plot_spike_counts",
    "raster_plot",
]
