"""The one time base of a session: all that was recorded, in seconds from the first sample of its sync file."""

from __future__ import annotations

from project_cache.build.clock.frames import FrameTimes
from project_cache.build.clock.session import SessionClock

__all__ = ["FrameTimes", "SessionClock"]
