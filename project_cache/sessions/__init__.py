"""What users hold: one object for one recording."""
