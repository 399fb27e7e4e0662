"""Pure functions on arrays: spike counts, spike times, statistics and intervals."""
