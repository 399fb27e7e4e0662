"""Where objects come from: one small interface, one file for each kind."""
