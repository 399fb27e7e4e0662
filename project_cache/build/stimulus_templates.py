"""What was shown, played and shone: gratings and flashes, sounds and light pulses, made anew from their parameters."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from project_cache.build.clock.waveforms import opto_waveform, sound_waveform
from project_cache.errors import ComponentUnavailable, MissingDataError

if TYPE_CHECKING:
    from pynwb import TimeSeries
    from pynwb.image import Images

    from project_cache.raw.recording import RawRecording
    from project_cache.raw.stimulus import StimulusFile

__all__ = ["Grating", "draw_grating", "stimulus_templates"]

#: pixels of a template for a degree of the visual field; the screen has about 16
_PIXELS_PER_DEGREE = 4.0
#: unlike on the screen, which is grey at 0, black at -1 and white at 1
_GREY = 127.5


@dataclass(frozen=True, slots=True)
class Grating:
    """A grating as the task's script draws it.

    Attributes
    ----------
    orientation : float
        Degrees clockwise from vertical.
    size : float
        Diameter (degrees of the visual field).
    spatial_frequency : float
        Cycles/degree.
    temporal_frequency : float
        Cycles/s. It drifts to the right before it is turned by its orientation.
    phase : float
        Cycles, before the first frame.
    square : bool
        Whether it is a square wave; else a sine.
    edge : float or None
        The width of the raised-cosine edge, as a part of the radius; None for a sharp one.
    """

    orientation: float
    size: float
    spatial_frequency: float
    temporal_frequency: float
    phase: float
    square: bool
    edge: float | None


def draw_grating(
    grating: Grating, n_frames: int, frame_rate: float, pixels_per_degree: float = _PIXELS_PER_DEGREE
) -> NDArray[np.uint8]:
    """Return the frames of a grating, at full contrast, on grey.

    Parameters
    ----------
    grating : Grating
        What is drawn.
    n_frames : int
        How many frames.
    frame_rate : float
        Frames/s.
    pixels_per_degree : float
        The resolution.

    Returns
    -------
    numpy.ndarray of uint8, shape (frames, height, width)
        Rows from the top; 0 is black, 128 grey, 255 white. A grating that does not move has one frame.

    Notes
    -----
    As PsychoPy's GratingStim draws it: the cosine of the way along its axis less the phase, which is 0 in its
    centre, with the mask ``raisedCos``. The script moves the phase on before it draws a frame, the first too.
    The spherical warping that is applied on the rig is not.
    """
    side = round(grating.size * pixels_per_degree)
    # the centres of the pixels, in degrees from that of the grating: to the right, and up
    places = (np.arange(side) - (side - 1) / 2) / pixels_per_degree
    right, up = places[None, :], -places[:, None]
    angle = np.deg2rad(grating.orientation)
    along = right * np.cos(angle) - up * np.sin(angle)
    radius = np.hypot(right, up) / (grating.size / 2)
    mask = (radius <= 1).astype(float)
    if grating.edge:
        fall = (np.cos(np.pi * (radius - (1 - grating.edge)) / grating.edge) + 1) / 2
        mask = np.where(radius > 1 - grating.edge, fall * mask, mask)
    frames = np.arange(1, n_frames + 1) if grating.temporal_frequency else np.zeros(1)
    phases = grating.phase + grating.temporal_frequency / frame_rate * frames
    out = np.empty((len(phases), side, side), dtype=np.uint8)
    for number, phase in enumerate(phases):
        # rounded, so that where a square wave changes sign does not hang on the last bit of a cosine
        wave = np.round(np.cos(2 * np.pi * (along * grating.spatial_frequency - phase)), 9)
        values = np.where(wave >= 0, 1.0, -1.0) if grating.square else wave
        out[number] = np.rint(_GREY * (1 + values * mask))
    return out


def stimulus_templates(raw: RawRecording) -> dict[str, Any]:
    """Return what was presented in a session, by name.

    Parameters
    ----------
    raw : RawRecording
        The recording, with its stimulus files.

    Returns
    -------
    dict
        - gratings (``vis1``, ``vis2`` of the task, ``grating_45_deg`` of mapping) as Images, with a GrayscaleImage
          for each frame of the screen; several phases have names of their own (``vis1_phase_180_deg``);
        - ``full_field_flashes``, an Images with a GrayscaleImage for each contrast;
        - sounds as TimeSeries at the sound card's rate: of the task one for each sound, with a column for each
          time that it was another noise; of mapping one for each tone or modulation;
        - pulses of light (``opto_10_ms_1250_mV``) as TimeSeries of the laser's driving voltage.

    Raises
    ------
    ComponentUnavailable
        Nothing was presented that could be made anew.
    """
    made: dict[str, Any] = {}
    for stimulus in raw.stimuli:
        for template in _templates(stimulus):
            made.setdefault(template.name, template)
    if not made:
        raise ComponentUnavailable(f"No stimulus file of {raw.id} says what was shown, played or shone.")
    return made


def _templates(stimulus: StimulusFile) -> Iterator[Any]:
    if stimulus.script == "DynamicRouting1":
        yield from _task_gratings(stimulus)
        yield from _task_sounds(stimulus)
        yield from _pulses(stimulus)
    elif stimulus.script == "RFMapping":
        yield from _mapping_gratings(stimulus)
        yield from _flashes(stimulus)
        yield from _mapping_sounds(stimulus)
    elif stimulus.script == "OptoTagging":
        yield from _pulses(stimulus)


def _number(stimulus: StimulusFile, name: str, default: float) -> float:
    """Return a parameter; of a list its first."""
    try:
        value = float(np.asarray(stimulus.get(name, default), dtype=np.float64).ravel()[0])
    except (TypeError, ValueError, IndexError):
        return default
    return value if np.isfinite(value) else default


def _numbers(values: Any) -> NDArray[np.float64]:
    """Return the distinct numbers among values."""
    numbers = np.asarray(values, dtype=np.float64).ravel()
    return np.unique(numbers[np.isfinite(numbers)])


def _grating(stimulus: StimulusFile, orientation: float, phase: float, default_type: str) -> Grating:
    rounded = str(stimulus.get("gratingEdge", "raisedCos")) == "raisedCos"
    return Grating(
        orientation,
        _number(stimulus, "gratingSize", 20.0),
        _number(stimulus, "gratingSF", 0.08),
        _number(stimulus, "gratingTF", 0.0),
        phase,
        str(stimulus.get("gratingType", default_type)) == "sqr",
        _number(stimulus, "gratingEdgeBlurWidth", 0.08) if rounded else None,
    )


def _movie(stimulus: StimulusFile, name: str, grating: Grating, n_frames: int, shown: str) -> Images:
    """Return a grating as a picture for each frame, in order."""
    from pynwb.base import ImageReferences
    from pynwb.image import GrayscaleImage, Images

    rate = _number(stimulus, "frameRate", 60.0)
    frames = draw_grating(grating, n_frames, rate)
    # of the template, by that of the screen
    cm_per_degree = (
        _number(stimulus, "pixelsPerDeg", np.nan)
        * _number(stimulus, "monWidth", np.nan)
        / _number(stimulus, "monSizePix", np.nan)
    )
    pictures = [
        GrayscaleImage(
            name=f"{name}_frame_{number:03d}" if len(frames) > 1 else name,
            data=frame,
            description=f"frame {number} of {n_frames}" if len(frames) > 1 else f"all {n_frames} frames",
            resolution=_PIXELS_PER_DEGREE / cm_per_degree if np.isfinite(cm_per_degree) else None,
        )
        for number, frame in enumerate(frames)
    ]
    return Images(
        name=name,
        description=(
            f"{'Square-wave' if grating.square else 'Sinusoidal'} grating {shown}, drawn from the parameters of the "
            f"script: orientation {grating.orientation:g} degrees clockwise from vertical, diameter "
            f"{grating.size:g} degrees, {grating.spatial_frequency:g} cycles/degree, "
            f"{grating.temporal_frequency:g} cycles/s, phase {grating.phase:g} cycles, {n_frames} frames at "
            f"{rate:g}/s. {_PIXELS_PER_DEGREE:g} pixels/degree, rows from the top; 0 black, 127.5 background, 255 "
            "white; at full contrast; without the screen's spherical warping."
        ),
        images=pictures,
        order_of_images=ImageReferences(name="order_of_images", data=pictures),
    )


def _task_gratings(stimulus: StimulusFile) -> Iterator[Images]:
    names = stimulus.trial("trialStim") if "trialStim" in stimulus else []
    orientations = _of_trials(stimulus, "trialGratingOri")
    phases = _of_trials(stimulus, "trialGratingPhase")
    contrasts = _of_trials(stimulus, "trialVisStimContrast")
    n_frames = max(int(_number(stimulus, "visStimFrames", 30)), 1)
    shown = np.array([re.findall(r"vis\d+", str(name)) for name in names], dtype=object)
    for vis in sorted({each for some in shown for each in some}):
        these = np.array([vis in some for some in shown])
        variants = sorted(set(zip(orientations[these].tolist(), phases[these].tolist(), strict=True)))
        variants = [each for each in variants if np.isfinite(each).all()]
        levels = ", ".join(f"{value:g}" for value in _numbers(contrasts[these])) or "1"
        for orientation, phase in variants:
            name = vis
            if len({each for each, _ in variants}) > 1:
                name += f"_{orientation:g}_deg"
            if len({each for _, each in variants}) > 1:
                name += f"_phase_{phase * 360:g}_deg"
            grating = _grating(stimulus, orientation, phase, "sin")
            yield _movie(
                stimulus, _allowed(name), grating, n_frames, f"{vis} of the task (at contrast {levels})"
            )


def _of_trials(stimulus: StimulusFile, name: str) -> NDArray[np.float64]:
    """Return one number for each trial: of two (a phase in x and y) the first; NaN where the file has none."""
    if name not in stimulus:
        return np.full(stimulus.n_trials, np.nan)
    values = np.asarray(stimulus.trial(name), dtype=np.float64)
    return values.reshape(len(values), -1)[:, 0]


def _mapping_gratings(stimulus: StimulusFile) -> Iterator[Images]:
    n_frames = max(int(_number(stimulus, "stimFrames", 15)), 1)
    for orientation in _numbers(_of_trials(stimulus, "trialGratingOri")):
        name = _allowed(f"grating_{orientation:g}_deg")
        grating = _grating(stimulus, float(orientation), 0.0, "sin")
        yield _movie(
            stimulus, name, grating, n_frames, "of receptive field mapping, at each position of a grid"
        )


def _flashes(stimulus: StimulusFile) -> Iterator[Images]:
    from pynwb.image import GrayscaleImage, Images

    contrasts = _numbers(_of_trials(stimulus, "trialFullFieldContrast"))
    if not len(contrasts):
        return
    n_frames = _number(stimulus, "stimFrames", 15)
    yield Images(
        name="full_field_flashes",
        description=f"Full-field flashes of receptive field mapping, of {n_frames:g} frames each: all of the screen "
        "has one grey level (0 black, 127.5 background, 255 white).",
        images=[
            GrayscaleImage(
                name=_allowed(f"contrast_{contrast:g}"),
                # all pixels are the same: as few as make a picture, of the screen's proportions
                data=np.full((10, 16), np.rint(_GREY * (1 + contrast)), dtype=np.uint8),
                description=f"contrast {contrast:g}: {_level(contrast)}",
            )
            for contrast in contrasts
        ],
    )


def _level(contrast: float) -> str:
    return {-1.0: "black", 0.0: "grey, as the background", 1.0: "white"}.get(contrast, "grey")


def _task_sounds(stimulus: StimulusFile) -> Iterator[TimeSeries]:
    names = stimulus.trial("trialStim") if "trialStim" in stimulus else []
    heard = [re.findall(r"sound\d+", str(name)) for name in names]
    for sound in sorted({each for some in heard for each in some}):
        trials = [trial for trial, some in enumerate(heard) if sound in some]
        yield from _sounds(stimulus, sound, f"{sound} of the task", trials)


def _mapping_sounds(stimulus: StimulusFile) -> Iterator[TimeSeries]:
    for name, what, text in (
        ("trialToneFreq", "tone", "a pure tone of {:g} Hz"),
        ("trialAMNoiseFreq", "AM_noise", "noise with its amplitude modulated at {:g} Hz"),
        ("trialNoiseFreq", "noise", "noise from {:g} Hz on"),
    ):
        values = _of_trials(stimulus, name)
        for value in _numbers(values):
            trials = np.flatnonzero(values == value).tolist()
            yield from _sounds(
                stimulus, _allowed(f"{what}_{value:g}_Hz"), f"{text.format(value)}, for mapping", trials
            )


def _sounds(stimulus: StimulusFile, name: str, what: str, trials: Sequence[int]) -> Iterator[TimeSeries]:
    """Yield a sound as it was played in some trials: one column for each that was different."""
    from pynwb import TimeSeries

    different: dict[bytes, tuple[NDArray[np.float32], list[int]]] = {}
    rate = 0.0
    for trial in trials:
        try:
            waveform, rate = sound_waveform(stimulus, trial)
        except MissingDataError:
            continue
        samples = waveform.astype(np.float32)
        different.setdefault(samples.tobytes(), (samples, []))[1].append(trial)
    if not different:
        return
    longest = max(len(samples) for samples, _ in different.values())
    columns = np.zeros((longest, len(different)), dtype=np.float32)
    for column, (samples, _) in enumerate(different.values()):
        columns[: len(samples), column] = samples
    single = columns.shape[1] == 1
    saved = (
        "as saved" if len(stimulus.get("trialSoundArray", ())) else "made anew from type, frequency and seed"
    )
    yield TimeSeries(
        name=name,
        description=f"The sound that was played: {what} ({saved}).",
        comments="The same in all trials."
        if single
        else "Each column is the noise of one or more trials, by trial_index: "
        + "; ".join(", ".join(map(str, played)) for _, played in different.values()),
        data=columns[:, 0] if single else columns,
        unit="full scale of the sound card",
        starting_time=0.0,
        rate=float(rate),
    )


def _pulses(stimulus: StimulusFile) -> Iterator[TimeSeries]:
    """Yield the different waveforms that drove a laser."""
    from pynwb import TimeSeries

    if "trialOptoVoltage" not in stimulus:
        return
    seen: set[bytes] = set()
    names: dict[str, int] = {}
    for trial in range(stimulus.n_trials):
        for device in range(np.size(stimulus.trial("trialOptoVoltage")[trial])):
            try:
                waveform, rate = opto_waveform(stimulus, trial, device)
            except MissingDataError:
                continue
            if waveform.tobytes() in seen:
                continue
            seen.add(waveform.tobytes())
            lasting = 1000 * (len(waveform) - 1) / rate
            name = f"opto_{lasting:.0f}_ms_{1000 * np.abs(waveform).max():.0f}_mV"
            # others of this length and voltage: another frequency, or other ramps
            names[name] = names.get(name, 0) + 1
            yield TimeSeries(
                name=name if names[name] == 1 else f"{name}_{names[name]}",
                description=f"A pulse of light: the voltage that drove its source ({stimulus.script}).",
                data=waveform.astype(np.float32),
                unit="volts",
                starting_time=0.0,
                rate=float(rate),
            )


def _allowed(name: str) -> str:
    """Return a name without characters that paths and programs take for something else."""
    return name.replace("-", "minus_").replace(".", "_")
