"""Moving bytes: ranged, resumable, verified."""
