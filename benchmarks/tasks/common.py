"""What the tasks share. Run as scripts in fresh processes, by either environment's Python; no third-party imports here."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any


def anonymous_mb() -> float:
    """Memory that is the process's own, in MB: without the pages of files that are only mapped."""
    for line in open("/proc/self/status"):  # noqa: PTH123, SIM115 - one short-lived process
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1e3
    return float("nan")


class Laps:
    """Times of steps, printed as one line of JSON at the end."""

    def __init__(self) -> None:
        self.steps: dict[str, float] = {}
        self.facts: dict[str, Any] = {}

    def lap(self, name: str, step: Callable[[], Any]) -> Any:
        """Run a step, note its seconds, and return its result."""
        began = time.perf_counter()
        result = step()
        self.steps[name] = time.perf_counter() - began
        return result

    def done(self, **facts: Any) -> None:
        """Print all."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        print(
            json.dumps(
                {"steps": self.steps, "peak_mb": peak, "anonymous_mb": anonymous_mb(), **self.facts, **facts}
            )
        )
        sys.stdout.flush()
