"""Reading NWB by HDF5 alone, lazily."""
