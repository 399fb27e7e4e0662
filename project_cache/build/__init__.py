"""Making sessions that are nowhere to be had: the demo project."""
