"""Progress bars: seen where somebody looks, silent elsewhere."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios

import pytest

from project_cache.display.progress import bar, watched

CODE = """
import time
from project_cache.display.progress import bar
with bar("session_nwb/7") as told:
    for done in range(0, 1_000_001, 100_000):
        told(done, 1_000_000)
        time.sleep({pause})
    told(0, 2_000_000)
"""


def in_terminal(code: str, **environment: str) -> str:
    """Return what a process writes to a real terminal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    process = subprocess.Popen([sys.executable, "-c", code], stderr=theirs, env={**os.environ, **environment})
    os.close(theirs)
    said = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:
            break
        if not piece:
            break
        said += piece
    os.close(ours)
    assert process.wait(60) == 0
    return said.decode()


def test_a_terminal_sees_a_bar_if_it_takes_long() -> None:
    said = in_terminal(CODE.format(pause=0.1))
    assert "session_nwb/7" in said
    assert "1.00M" in said
    assert "B/s" in said


def test_what_is_quick_shows_none() -> None:
    assert in_terminal(CODE.format(pause=0)) == ""


def test_a_pipe_and_those_who_do_not_want_it_see_none(monkeypatch: pytest.MonkeyPatch) -> None:
    done = subprocess.run([sys.executable, "-c", CODE.format(pause=0.06)], capture_output=True, check=True)
    assert done.stderr == b""
    assert in_terminal(CODE.format(pause=0.06), PROJECT_CACHE_PROGRESS="0") == ""
    monkeypatch.setenv("PROJECT_CACHE_PROGRESS", "0")
    assert not watched()


def test_it_can_be_asked_for_and_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with bar("x", show=False) as told:
        told(1, 2)
    assert capsys.readouterr().err == ""
