"""The plots of :mod:`project_cache.display.plots`, under the name of the module that AllenSDK has them in."""

from project_cache.display.plots import plot_mean_waveforms, plot_spike_counts, raster_plot

__all__ = ["plot_mean_waveforms", "plot_spike_counts", "raster_plot"]
