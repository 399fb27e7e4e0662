"""What the mice of the demo project do: they run, and their units and field potentials answer to pictures."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from project_cache.build.demo_project import (
    LFP_RATE,
    SAMPLING_RATE,
    Layout,
    direction_curve,
    layout,
)
from project_cache.build.demo_stimuli import LIGHT_S, presentations, session_seconds
from project_cache.build.recording import Eye, Lfp, Recording

__all__ = ["field_potential", "recording"]

Floats = npt.NDArray[np.float64]

BIN_S = 0.005
WHEEL_RATE = 60.0
WHEEL_CM = 5.5  # from the axle to the mouse's feet
WAVEFORM_SAMPLES = 82
LFP_FLASHES = 12

#: eye tracking failed in some sessions of the real project, and is left out of most here, for size
EYE_TRACKED = (900002, 900006)
RIG = {
    "equipment": "demo rig",
    "monitor_position": (120.0, 85.0, 32.0),
    "camera_position": (130.0, 0.0, 0.0),
    "led_position": (260.0, -40.0, 1.0),
    "monitor_rotation": (0.0, 0.0, 0.0),
    "camera_rotation": (0.0, 0.0, 13.0),
}

DESCRIPTION = (
    "Synthetic data of the project_cache demo: made by a program, recorded from no animal. "
    "The layout is that of the Visual Coding Neuropixels files."
)


def recording(session: Layout) -> Recording:
    """Return all that the session's NWB file holds. A session always gives the same numbers."""
    made = layout(session)
    shown = presentations(session.session_type, session.session_id)
    seconds = session_seconds(session.session_type)
    wheel, running = _running(session, seconds)
    light = None if session.cre is None else _light(session, seconds)
    times: list[Floats] = []
    amplitudes: list[Floats] = []
    waveforms = []
    for n, probe_id in enumerate(made.probes.index):
        rng = session.random(100 + n)
        on_probe = made.channels["probe_id"] == probe_id
        chosen = made.units["peak_channel_id"].isin(made.channels.index[on_probe]).to_numpy()
        units, tuning = made.units[chosen], made.tuning[chosen]
        rate = _rates(units, tuning, shown, running, light, seconds)
        counts = np.round(units["firing_rate"].to_numpy(float) * seconds).astype(int)
        mixed = (units["isi_violations"] > 0.5).to_numpy()
        volts = 1e-6 * units["amplitude"].to_numpy(float)
        for row in range(len(units)):
            times.append(_spikes(rng, rate[row], counts[row], mixed=mixed[row]))
            amplitudes.append(volts[row] * rng.normal(1.0, 0.12, counts[row]).clip(0.3))
        waveforms.append(_waveforms(units, made.channels[on_probe]))
    invalid = []
    if session.session_id == 900005:
        probe_id, name = int(made.probes.index[1]), str(made.probes["name"].iloc[1])
        invalid.append((200.0, 202.5, ("EcephysProbe", str(probe_id), name)))
    return Recording(
        session_id=session.session_id,
        session_type=session.session_type,
        description=DESCRIPTION,
        institution="none (synthetic data)",
        start=session.start,
        subject={
            "specimen_name": f"{session.cre or 'C57BL/6J'}-demo-{session.session_id}",
            "age_in_days": session.age,
            "genotype": session.genotype,
            "sex": session.sex,
            "strain": "C57BL/6J",
            "species": "Mus musculus",
            "subject_id": str(session.session_id + 10_000),
        },
        probes=made.probes,
        channels=made.channels,
        units=made.units,
        spike_times=times,
        spike_amplitudes=amplitudes,
        waveforms=np.concatenate(waveforms),
        presentations=shown,
        running=running,
        wheel=wheel,
        optotagging=light,
        invalid_times=invalid,
        rig=RIG,
        eye=_eye(session, seconds) if session.session_id in EYE_TRACKED else None,
    )


def _wander(rng: np.random.Generator, count: int, width: float) -> Floats:
    """Return noise of unit variance that changes over about ``width`` samples."""
    reach = int(4 * width)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
    noise = rng.normal(size=count + 2 * reach)
    return np.asarray(np.convolve(noise, kernel / np.sqrt((kernel**2).sum()), "valid"))


def _running(session: Layout, seconds: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the wheel and the running speed: bouts of some ten seconds, and rest between them."""
    rng = session.random(1)
    frames = np.arange(2.0, seconds, 1 / WHEEL_RATE)
    urge = _wander(rng, len(frames), 3.0 * WHEEL_RATE)
    stride = _wander(rng, len(frames), 0.12 * WHEEL_RATE)
    speed = np.clip(18.0 * (urge + 0.1), 0.0, None) * (1.0 + 0.12 * stride) + rng.normal(0, 0.15, len(frames))
    turned = speed / WHEEL_CM / WHEEL_RATE
    rotation = np.cumsum(turned)
    wheel = pd.DataFrame(
        {
            "frame_time": frames,
            "rotation": turned,
            "signal_voltage": 2.5 * (1 + np.sin(rotation)),
            "supply_voltage": 5.0 + rng.normal(0, 0.005, len(frames)),
        }
    )
    running = pd.DataFrame(
        {
            "start_time": frames[:-1],
            "end_time": frames[1:],
            "velocity": speed[:-1],
            "net_rotation": turned[:-1],
        }
    )
    return wheel, running


def _eye(session: Layout, seconds: float) -> Eye:
    """Return a pupil that wanders and changes in size, seen by a camera at 30 Hz."""
    rng = session.random(3)
    times = np.arange(2.0, seconds, 1 / 30)
    count = len(times)
    look_x, look_y = 6.0 * _wander(rng, count, 60.0), 3.0 * _wander(rng, count, 60.0)  # degrees
    pupil = 20.0 + 4.0 * _wander(rng, count, 150.0)  # half an axis, in pixels

    def ellipse(x: Floats, y: Floats, half: Floats) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "center_x": x + rng.normal(0, 0.3, count),
                "center_y": y + rng.normal(0, 0.3, count),
                "width": half * rng.normal(1.0, 0.01, count),
                "height": 0.95 * half * rng.normal(1.0, 0.01, count),
                "phi": rng.normal(0, 0.05, count),
            }
        )

    still = np.zeros(count)
    ellipses = {
        "cr": ellipse(320.0 + 0.3 * look_x, 250.0 + 0.3 * look_y, still + 6.0),
        "eye": ellipse(310.0 + still, 240.0 + still, still + 90.0),
        "pupil": ellipse(315.0 + 2.0 * look_x, 245.0 + 2.0 * look_y, pupil),
    }
    gaze = {}
    for kind, noise in (("raw", 1.0), ("filtered", 0.2)):
        x, y = (look + rng.normal(0, noise, count) for look in (look_x, look_y))
        gaze[kind] = pd.DataFrame(
            {
                "eye_area": np.pi * 90.0**2 * 0.95 * rng.normal(1.0, 0.01 * noise, count),
                "pupil_area": np.pi * pupil**2 * 0.95 * rng.normal(1.0, 0.01 * noise, count),
                "y_cm": 15.0 * np.tan(np.deg2rad(y)),
                "x_cm": 15.0 * np.tan(np.deg2rad(x)),
                "y_deg": y,
                "x_deg": x,
            }
        )
    return Eye(timestamps=times, ellipses=ellipses, gaze=gaze)


def _light(session: Layout, seconds: float) -> pd.DataFrame:
    """Return the pulses of light at the session's end."""
    rng = session.random(2)
    start = seconds - LIGHT_S + 1.0 + 0.45 * np.arange(40)
    return pd.DataFrame(
        {
            "start_time": start,
            "condition": "a single square pulse",
            "level": rng.choice([1.0, 1.3, 1.7], len(start)),
            "stimulus_name": "pulse",
            "stop_time": start + 0.01,
            "duration": 0.01,
        }
    )


def _rates(
    units: pd.DataFrame,
    tuning: pd.DataFrame,
    shown: pd.DataFrame,
    running: pd.DataFrame,
    light: pd.DataFrame | None,
    seconds: float,
) -> npt.NDArray[np.float32]:
    """Return each unit's rate, relative to its rate at rest, in bins of 5 ms."""
    n_bins = int(np.ceil(seconds / BIN_S))
    rate = np.ones((len(units), n_bins), dtype=np.float32)
    for name, rows in shown[shown["stimulus_name"] != "spontaneous"].groupby("stimulus_name", sort=False):
        gain = _gains(str(name), rows, tuning) * tuning["visual"].to_numpy()[:, None]
        length = float(rows["stop_time"].iloc[0] - rows["start_time"].iloc[0])
        onsets = (rows["start_time"].to_numpy() / BIN_S).astype(int)
        course = _course(tuning, length)
        for k in range(course.shape[1]):
            rate[:, onsets + k] += (gain * course[:, k, None]).astype(np.float32)
    if light is not None:
        onsets = (light["start_time"].to_numpy() / BIN_S).astype(int)
        tagged = tuning["light"].to_numpy()
        for k, height in ((0, 10.0), (1, 40.0), (2, 12.0)):
            rate[np.ix_(tagged, onsets + k)] += height
    bins = (np.arange(n_bins) + 0.5) * BIN_S
    speed = np.interp(bins, running["start_time"], running["velocity"]).clip(0.0, 40.0) / 20.0
    rate *= np.clip(1.0 + tuning["running"].to_numpy()[:, None] * speed, 0.1, None).astype(np.float32)
    # a unit that drifted away is there for a part of the session only
    for row, present in enumerate(units["presence_ratio"]):
        if present < 0.95:
            rate[row, int(present * n_bins) :] = 0.0
    return rate


def _course(tuning: pd.DataFrame, length: float) -> Floats:
    """Return the time course of responses (units by bins) to something shown for ``length`` seconds."""
    since = (np.arange(int((length + 0.3) / BIN_S)) + 0.5) * BIN_S - tuning["latency"].to_numpy()[:, None]
    on = np.clip(since, 0.0, None)
    transient = on / 0.015 * np.exp(1.0 - on / 0.015)
    steady = (1.0 - np.exp(-on / 0.03)) * np.exp(-np.clip(since - length, 0.0, None) / 0.04)
    course = transient + tuning["sustained"].to_numpy()[:, None] * steady
    return np.asarray(course)


def _gains(name: str, rows: pd.DataFrame, tuning: pd.DataFrame) -> Floats:
    """Return how strongly (units by presentations) each unit answers to what is shown."""

    def column(parameter: str) -> Floats:
        return pd.to_numeric(rows[parameter], errors="coerce").to_numpy(float)[None, :]

    def unit(parameter: str) -> Floats:
        return np.asarray(tuning[parameter].to_numpy(float)[:, None])

    if name == "flashes":
        return np.asarray(14.0 * np.where(column("color") > 0, unit("flash_on"), unit("flash_off")))
    if name == "gabors":
        squared = (column("x_position") - unit("rf_x")) ** 2 + (column("y_position") - unit("rf_y")) ** 2
        return np.asarray(12.0 * np.exp(-0.5 * squared / unit("rf_sigma") ** 2))
    if name.startswith("drifting_gratings"):
        tuned = direction_curve(tuning, np.nan_to_num(column("orientation")[0]))
        octaves = np.log2(column("temporal_frequency") / unit("pref_temporal_frequency"))
        contrast = column("contrast") / (column("contrast") + 0.15)
        return np.nan_to_num(12.0 * contrast * tuned * np.exp(-0.5 * (octaves / 1.2) ** 2))
    if name == "static_gratings":
        # what is still has no direction: orientation 0° is the bars of a grating that drifts at 0°
        turned = np.deg2rad(2.0 * (column("orientation") - unit("pref_direction")))
        octaves = np.log2(column("spatial_frequency") / unit("pref_spatial_frequency"))
        phase = 1.0 + 0.5 * np.cos(2 * np.pi * (column("phase") - unit("pref_phase")))
        tuned = np.exp(unit("sharpness") * (np.cos(turned) - 1.0))
        return np.nan_to_num(8.0 * tuned * phase * np.exp(-0.5 * octaves**2))
    frames = rows["frame"].to_numpy().astype(int)
    if name == "natural_scenes":
        # each unit likes a few of the pictures; -1 is none
        return np.where(frames < 0, 0.0, 6.0 * _likes(tuning, 118, 0.3)[:, frames])
    return np.asarray(0.5 * _likes(tuning, 1 + frames.max() // 8, 0.5)[:, frames // 8])


def _likes(tuning: pd.DataFrame, count: int, shape: float) -> Floats:
    return np.stack([np.random.default_rng(s).gamma(shape, 1.0, count) for s in tuning["image_seed"]])


def _spikes(rng: np.random.Generator, rate: npt.NDArray[np.float32], count: int, *, mixed: bool) -> Floats:
    """Return ``count`` spike times (s) that follow ``rate``.

    Intervals are drawn on a clock that runs as fast as the rate: gamma intervals, more regular than
    chance, as well isolated cells have; exponential ones (spikes as close as they fall) for mixed units.
    """
    intervals = rng.gamma(1.0 if mixed else 2.5, size=count + 1)
    clock = np.cumsum(intervals)[:-1] / intervals.sum()
    passed = np.concatenate([[0.0], np.cumsum(rate, dtype=np.float64)])
    times = np.interp(clock * passed[-1], passed, np.arange(len(passed)) * BIN_S)
    return np.asarray(np.round(times * SAMPLING_RATE) / SAMPLING_RATE)


def _waveforms(units: pd.DataFrame, channels: pd.DataFrame) -> npt.NDArray[np.float32]:
    """Return mean waveforms in µV, as the published files have them (units by channels by samples)."""
    time_ms = (np.arange(WAVEFORM_SAMPLES) - 20)[None, None, :] / SAMPLING_RATE * 1000
    peak = channels.loc[units["peak_channel_id"], "probe_vertical_position"].to_numpy(float)
    distance = channels["probe_vertical_position"].to_numpy(float)[None, :] - peak[:, None]

    def unit(name: str) -> Floats:
        return np.asarray(units[name].to_numpy(float)[:, None, None])

    # velocities are given in ms per mm, above and below the peak
    slow = np.where(distance[..., None] > 0, unit("velocity_above"), unit("velocity_below"))
    since = time_ms - slow * distance[..., None] / 1000
    width = unit("waveform_halfwidth")
    trough = -np.exp(-0.5 * (since / (0.43 * width)) ** 2)
    later = (since - unit("waveform_duration")) / (0.5 * unit("waveform_duration"))
    shape = trough + 0.5 * unit("PT_ratio") * np.exp(-0.5 * later**2)
    fall = np.exp(-np.abs(distance) / unit("spread")[:, :, 0])
    return np.asarray(unit("amplitude") * fall[..., None] * shape, dtype=np.float32)


def field_potential(session: Layout, probe_id: int) -> Lfp:
    """Return one probe's field potential around its first flashes, and the current source density of these."""
    made = layout(session)
    rng = session.random(1000 + probe_id % 10)
    channels = made.channels[(made.channels["probe_id"] == probe_id) & made.channels["valid_data"]].iloc[::4]
    depth = channels["probe_vertical_position"].to_numpy(float)
    shown = presentations(session.session_type, session.session_id)
    onsets = shown.loc[shown["stimulus_name"] == "flashes", "start_time"].to_numpy()[:LFP_FLASHES]
    times = np.arange(onsets[0] - 1.0, onsets[-1] + 1.5, 1 / LFP_RATE)
    # each channel's own noise, what all share, and theta where the hippocampus is
    noise = np.cumsum(rng.normal(0, 2e-6, (len(times), len(depth))), axis=0)
    noise -= np.linspace(0, 1, len(times))[:, None] * noise[-1]
    shared = 4e-5 * np.sin(2 * np.pi * 3.1 * times + rng.uniform(0, 6))
    theta = 1.5e-4 * np.exp(-0.5 * ((depth - 1900) / 300) ** 2) * np.sin(2 * np.pi * 7.3 * times)[:, None]
    data = 0.3 * noise + shared[:, None] + theta + rng.normal(0, 4e-6, noise.shape)
    window = np.arange(-0.1, 0.25, 1 / LFP_RATE)
    evoked = _evoked(window, depth)
    for onset in onsets:
        data += _evoked(times - onset, depth)
    inner = slice(1, -1)
    spacing = np.diff(depth).mean() * 1e-6
    density = -0.3 * np.diff(evoked, 2, axis=1) / spacing**2  # 0.3 S/m, the conductivity of cortex
    return Lfp(
        data=data.astype(np.float32),
        timestamps=times,
        channel_ids=channels.index.to_numpy(),
        csd=density.astype(np.float32),
        csd_timestamps=window,
        csd_positions=np.column_stack([np.full(len(depth) - 2, 24.0), depth[inner]]),
    )


def _evoked(since: Floats, depth: Floats) -> Floats:
    """Return the potential (V, times by depths) that a flash evokes: a sink in layer 4, then above it."""
    on = np.clip(since - 0.042, 0.0, None)[:, None]
    early = on / 0.012 * np.exp(1 - on / 0.012)
    late = np.clip(on - 0.03, 0.0, None) / 0.04 * np.exp(1 - np.clip(on - 0.03, 0.0, None) / 0.04)
    layer4 = np.exp(-0.5 * ((depth - 2950.0) / 130.0) ** 2)
    layer2 = np.exp(-0.5 * ((depth - 3200.0) / 160.0) ** 2)
    return np.asarray(-2.5e-4 * early * layer4 - 1.2e-4 * late * layer2)
