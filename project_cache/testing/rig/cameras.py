"""Cameras: exposures on their lines, MVR's reports, and small videos with an eye in one of them."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from project_cache.testing.rig.sync_file import Line, pulses
from project_cache.testing.rig.timeline import Floats, Ints, on_ticks

__all__ = ["CAMERAS", "Kind", "exposures", "lines_of", "pupil", "report", "write_video"]

FPS = 60.0024
WIDTH, HEIGHT = 96, 72
CYCLE = 60  # different frames of a video, shown again and again
PUPIL = (48.0, 36.0)  # x, y in pixels, the mean
RADIUS = 9.0


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the rig's cameras, as MVR calls it and as the sync lines are labelled."""

    label: str
    mvr: str
    line: str
    fingerprint_ms: float  # exposure of the first ten frames
    exposure_ms: float
    number: int


CAMERAS = (
    Kind("behavior", "Behavior", "beh", 1.0, 3.0, 1),
    Kind("face", "Face", "face", 3.0, 5.0, 2),
    Kind("eye", "Eye", "eye", 2.0, 14.0, 3),
)


def exposures(rng: np.random.Generator, start: float, stop: float) -> Floats:
    """Return when a camera began to expose (s), from `start` to `stop`."""
    n = int((stop - start) * FPS)
    return on_ticks(start + np.arange(n) / FPS + rng.normal(0, 1e-5, n).clip(-5e-5, 5e-5))


def lines_of(kind: Kind, begun: Floats) -> tuple[Line, Line]:
    """Return the exposing and the frame-readout line of a camera."""
    length = np.full(len(begun), kind.exposure_ms / 1000)
    length[:10] = kind.fingerprint_ms / 1000
    return pulses(begun, begun + length), pulses(begun + 0.0012, begun + 0.0122)


def report(
    kind: Kind, file: str, started: datetime, recorded: int, lost: Ints, licks: Ints
) -> dict[str, Any]:
    """Return MVR's JSON. Its times end in 'Z' and are local.

    `licks` is (n, 2): the frames in which the camera's input went up and down.
    """
    ended = started + timedelta(seconds=recorded / FPS)
    runs: list[str] = []
    for run in np.split(lost, np.flatnonzero(np.diff(lost) > 1) + 1):
        if len(run):
            runs.append(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}")
    seconds = int(recorded / FPS)
    return {
        "RecordingReport": {
            "Recording Report Version": "1.0",
            "Acquisition DateTime": f"{ended:%m/%d/%y %H:%M:%S}",
            "MVR Version": "1.1.7",
            "CameraIndex": f"Camera {kind.number}",
            "CameraLabel": kind.mvr,
            "CameraID": f"DEV_000F315BA60{kind.number}",
            "FPS": FPS,
            "CameraGain": 3 + kind.number,
            "CustomInitialExposureTime": int(kind.fingerprint_ms),
            "CustomInitialNumberOfFrames": 10,
            "ExposureTime": int(kind.exposure_ms),
            "ImageDimensions": "658x492",
            "BinningFactors": "1x1",
            "MovieID": f"00000000-0000-0000-0000-00000000000{kind.number}",
            "VideoOutputFileName": f"C:\\ProgramData\\AIBS_MPE\\mvr\\data\\.\\{file}",
            "Codec": "h264_nvenc",
            "FrameID imprint enabled": "false",
            "TimeStart": f"{started:%Y-%m-%dT%H:%M:%SZ}",
            "TimeEnd": f"{ended:%Y-%m-%dT%H:%M:%SZ}",
            "Duration": f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}",
            "FramesRecorded": recorded,
            "FramesLostCount": len(lost),
            "CameraInputCount": len(licks),
            "CameraInput": [",".join(["1,0", *(f"{on},1,{off},0" for on, off in licks)])],
            # MVR leaves an empty list where nothing was lost
            "LostFrames": [",".join(runs)] if runs else [],
        }
    }


def pupil(n_frames: int) -> pd.DataFrame:
    """Return where the pupil is in each frame of the eye's video: x, y, radius in pixels.

    It moves round a small circle and widens and narrows once each `CYCLE` frames. The first frame of the file
    is the white metadata frame, and has none.
    """
    phase = 2 * np.pi * ((np.arange(n_frames) - 1) % CYCLE) / CYCLE
    frame = pd.DataFrame(
        {
            "x": PUPIL[0] + 6.0 * np.cos(phase),
            "y": PUPIL[1] + 4.0 * np.sin(phase),
            "radius": RADIUS + 3.0 * np.sin(phase),
        }
    )
    frame.iloc[:1] = np.nan
    return frame


def write_video(path: Path, kind: Kind, n_frames: int, seed: int) -> None:
    """Write an .mp4 of `n_frames` uncompressed RGB frames of 96 x 72.

    The file holds a white frame (MVR's metadata frame) and one cycle of pictures; its sample table points to
    these again and again, so that a video of two hours is as small as one of a second.
    """
    rng = np.random.default_rng([seed, kind.number])
    pictures = [np.full((HEIGHT, WIDTH), 255, np.uint8)]
    still = rng.integers(60, 120, (HEIGHT, WIDTH)).astype(np.uint8)
    where = pupil(CYCLE + 1)
    for i in range(CYCLE):
        if kind.label == "eye":
            pictures.append(_eye(where["x"][i + 1], where["y"][i + 1], where["radius"][i + 1]))
        else:
            # a whisker pad that moves: two cycles of a brighter band over a still background
            band = 20 + round(15 * (1 + np.sin(4 * np.pi * i / CYCLE)))
            moved = still.copy()
            moved[band : band + 12] += 80
            pictures.append(moved)
    size = 3 * WIDTH * HEIGHT
    offsets = (
        np.concatenate([[0], 1 + np.arange(n_frames - 1) % CYCLE]) if n_frames else np.zeros(0, np.int64)
    )
    ftyp = _box(b"ftyp", b"qt  " + struct.pack(">I", 0x200) + b"qt  ")
    mdat = _box(b"mdat", b"".join(np.repeat(p[:, :, None], 3, axis=2).tobytes() for p in pictures))
    positions = (len(ftyp) + 8 + size * offsets).astype(">u4")
    path.write_bytes(ftyp + mdat + _movie(n_frames, size, positions))


def _eye(x: float, y: float, radius: float) -> npt.NDArray[np.uint8]:
    """Return a bright eye with a dark, softly bordered pupil, seen under infrared light."""
    row, column = np.mgrid[:HEIGHT, :WIDTH]
    lid = np.hypot((column - WIDTH / 2) / 40, (row - HEIGHT / 2) / 28)
    picture = np.where(lid < 1, 150.0, 205.0)
    edge = np.clip(np.hypot(column - x, row - y) - radius + 0.5, 0, 1)
    shaded = np.round(20 + (picture - 20) * edge)
    return np.asarray(shaded, dtype=np.uint8)


def _box(kind: bytes, *contents: bytes) -> bytes:
    body = b"".join(contents)
    return struct.pack(">I", len(body) + 8) + kind + body


def _movie(n: int, size: int, positions: npt.NDArray[Any]) -> bytes:
    """Return the moov box (ISO 14496-12, QuickTime's 'raw ' video) of `n` frames of `size` bytes each."""
    scale, step = 60_000, 1_000
    duration = n * step
    matrix = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    mvhd = _box(
        b"mvhd",
        struct.pack(">5IIH", 0, 0, 0, scale, duration, 0x10000, 0x100) + bytes(10) + matrix + bytes(24),
        struct.pack(">I", 2),
    )
    tkhd = _box(
        b"tkhd",
        struct.pack(">6I", 3, 0, 0, 1, 0, duration) + bytes(16) + matrix,
        struct.pack(">2I", WIDTH << 16, HEIGHT << 16),
    )
    mdhd = _box(b"mdhd", struct.pack(">5I2H", 0, 0, 0, scale, duration, 0x55C4, 0))
    hdlr = _box(b"hdlr", struct.pack(">2I", 0, 0) + b"vide" + bytes(12) + b"VideoHandler\0")
    vmhd = _box(b"vmhd", struct.pack(">I4H", 1, 0, 0, 0, 0))
    dinf = _box(b"dinf", _box(b"dref", struct.pack(">2I", 0, 1), _box(b"url ", struct.pack(">I", 1))))
    entry = _box(
        b"raw ",
        bytes(6) + struct.pack(">H", 1) + bytes(16),
        struct.pack(">2H2I", WIDTH, HEIGHT, 0x480000, 0x480000),
        bytes(4) + struct.pack(">H", 1) + bytes(32) + struct.pack(">Hh", 24, -1),
    )
    stbl = _box(
        b"stbl",
        _box(b"stsd", struct.pack(">2I", 0, 1), entry),
        _box(b"stts", struct.pack(">4I", 0, 1, n, step)),
        _box(b"stsc", struct.pack(">5I", 0, 1, 1, 1, 1)),
        _box(b"stsz", struct.pack(">3I", 0, size, n)),
        _box(b"stco", struct.pack(">2I", 0, n), positions.tobytes()),
    )
    minf = _box(b"minf", vmhd, dinf, stbl)
    return _box(b"moov", mvhd, _box(b"trak", tkhd, _box(b"mdia", mdhd, hdlr, minf)))
