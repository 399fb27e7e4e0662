"""A project's tables of sessions, probes, channels and units: reading, joining, counting, filtering."""
