"""A mouse in the task: trials in blocks, licks, rewards, repeats, violations of quiescence, and the laser."""

from __future__ import annotations

from typing import Any

import numpy as np

from project_cache.testing.rig.timeline import Floats, Script

__all__ = ["task"]

QUIESCENT = 90  # frames without licks before the stimulus
WINDOW = (6, 60)  # frames after the stimulus in which a lick is a response
POST_RESPONSE = 180
TIMEOUT = 180
STIMULUS_FRAMES = 30
SOUND_S = 0.5
INSTRUCTION = 5  # trials at the start of a block that show which stimulus pays
OPTO_S = 0.5
OPTO_RAMP_S = 0.1  # down

#: chance of a response, by what is shown: it pays, it pays in the other blocks, it never pays, nothing
LICKS = {"pays": 0.93, "other": 0.25, "never": 0.06, "catch": 0.03}
ORIENTATION = {"vis1": 0.0, "vis2": 90.0}
AM_HZ = {"sound1": 12.0, "sound2": 70.0}

#: where the modern script aims its laser, and how strongly: (label, x, y, volts)
SITES = (("VISp", -2.5, -3.5, 1.25), ("MOs", -1.0, 2.0, 1.25))
POLYNOMIAL = (0.2, 3.9, -0.2)  # of volts, gives mW
OFFSET_VOLTS = 0.05


def task(
    rng: np.random.Generator,
    blocks: int,
    trials_per_block: int,
    *,
    opto: bool = False,
    modern: bool = True,
    manual_rewards: int = 0,
) -> Script:
    """Return a run of DynamicRouting1 that a mouse does well.

    Parameters
    ----------
    rng : Generator
    blocks, trials_per_block : int
        Blocks alternate between rewarding sound1 and vis1; the last trial, which the script began and did
        not end, is not counted.
    opto : bool
        Whether a third of the trials have the laser on.
    modern : bool
        Whether the laser's parameters are stored as scripts since 2024-03-29 do.
    manual_rewards : int
        Rewards that the experimenter gives between trials; the script stores them twice.
    """
    rewarded = ["sound1" if n % 2 == 0 else "vis1" for n in range(blocks)]
    trials: list[dict[str, Any]] = []
    lick_on: list[float] = []
    lick_off: list[float] = []
    rewards: list[int] = []
    manual: list[int] = []
    violations: list[int] = []

    def bout(first: float, n: int) -> float:
        """Lick `n` times from `first` (in frames) on; return when the last was over."""
        at = first
        for _ in range(n):
            lick_on.append(at)
            lick_off.append(at + float(rng.uniform(2.5, 5.0)))
            at += float(rng.normal(8.6, 0.5))
        return lick_off[-1]

    start = 0
    for block, pays in enumerate(rewarded):
        repeat: str | None = None
        for n in range(trials_per_block):
            instruction = n < INSTRUCTION
            shown = repeat or (pays if instruction else _drawn(rng))
            pre = int(min(360, QUIESCENT + rng.exponential(60) + 1))
            onset = start + pre
            if rng.random() < 0.08 and trials:
                # a lick in the quiescent frames: the script starts waiting anew
                frame = onset - int(rng.integers(20, 70))
                bout(frame - 1 - float(rng.uniform(0.1, 0.9)), 1)
                violations.append(frame)
                onset = frame + pre
            kind = _kind(shown, pays)
            lasered = opto and not instruction and rng.random() < 1 / 3
            chance = LICKS[kind] * (0.4 if lasered and kind == "pays" else 1.0)
            response = bool(rng.random() < chance)
            frame_of_response = np.nan
            if response:
                frame_of_response = float(
                    onset + int(np.clip(rng.normal(21, 6), WINDOW[0] + 2, WINDOW[1] - 4))
                )
                # a lick is seen when the script next reads its inputs, which is after the vsync before
                ended = bout(frame_of_response - 1 - float(rng.uniform(0.05, 0.95)), int(rng.integers(4, 10)))
                assert ended < onset + WINDOW[1] + POST_RESPONSE
            scheduled = instruction and kind == "pays"
            auto = scheduled and not response
            pay = kind == "pays" and (response or auto)
            if pay:
                rewards.append(int(frame_of_response) if response else onset + WINDOW[1])
                if auto and rng.random() < 0.8:
                    bout(onset + WINDOW[1] + float(rng.uniform(8, 20)), 6)
            again = response and kind == "other" and n + 1 < trials_per_block and n + 1 >= INSTRUCTION
            end = onset + WINDOW[1] + POST_RESPONSE + (TIMEOUT if again else 0)
            if len(manual) < manual_rewards and not pay and kind == "never":
                frame = end - 30
                manual.append(frame)
                rewards.append(frame)
            trials.append(
                {
                    "trial_index": len(trials),
                    "block_index": block,
                    "rewarded_modality": "aud" if pays.startswith("sound") else "vis",
                    "stim_name": shown,
                    "is_response": response,
                    "is_rewarded": pay,
                    "is_noncontingent_reward": auto,
                    "is_reward_scheduled": scheduled,
                    "is_repeat": repeat is not None,
                    "is_go": kind == "pays",
                    "is_opto": bool(lasered),
                    "opto_site": int(rng.integers(len(SITES))) if lasered else -1,
                    "start_frame": start,
                    "stim_frame": onset,
                    "end_frame": end,
                    "response_frame": frame_of_response,
                    "reward_frame": float(rewards[-1]) if pay else np.nan,
                    "pre_frames": onset - start,
                    "is_timeout": again,
                }
            )
            repeat = shown if again else None
            start = end + 1
    # one tongue that stayed on the spout, in the trial that was not finished
    lick_on.append(start + 20.3)
    lick_off.append(start + 70.1)
    n_frames = start + 230
    onsets = np.array([t["stim_frame"] for t in trials], dtype=np.float64)
    sounds = np.array([t["stim_name"].startswith("sound") for t in trials], dtype=bool)
    lasers = np.array([t["is_opto"] for t in trials], dtype=bool)
    order = np.argsort(lick_on)
    return Script(
        "DynamicRouting1",
        n_frames,
        _parameters(rng, trials, rewarded, start, n_frames, opto, modern),
        np.array(lick_on)[order],
        np.array(lick_off)[order],
        np.sort(np.array(rewards, np.int64)),
        np.array(manual, np.int64),
        np.array(violations, np.int64),
        np.where(sounds, onsets, np.nan),
        np.full(len(trials), SOUND_S),
        np.where(lasers, onsets, np.nan),
        np.full(len(trials), OPTO_S + OPTO_RAMP_S),
        trials,
    )


def _drawn(rng: np.random.Generator) -> str:
    return "catch" if rng.random() < 0.1 else str(rng.choice(["vis1", "vis2", "sound1", "sound2"]))


def _kind(shown: str, pays: str) -> str:
    if shown == "catch":
        return "catch"
    if shown == pays:
        return "pays"
    return "other" if shown.endswith("1") else "never"


def _parameters(
    rng: np.random.Generator,
    trials: list[dict[str, Any]],
    rewarded: list[str],
    unfinished: int,
    n_frames: int,
    opto: bool,
    modern: bool,
) -> dict[str, Any]:
    """Return the datasets of the task's file (names and types: those of real files of 2023 and 2024)."""
    n = len(trials) + 1  # the script had begun one more
    stims = [t["stim_name"] for t in trials] + ["catch"]
    vis = np.array([s.startswith("vis") for s in stims])
    aud = np.array([s.startswith("sound") for s in stims])

    def column(key: str, last: Any, dtype: Any) -> Any:
        return np.array([t[key] for t in trials] + [last], dtype=dtype)

    def where(flag: Any, values: list[float] | float) -> Floats:
        return np.where(flag, values, np.nan)

    blocks = len(rewarded)
    contents: dict[str, Any] = {
        "ampModFreq": {"sound1": np.int32(12), "sound2": np.int32(70)},
        "autoRewardMissTrials": np.int32(10),
        "autoRewardOnsetFrame": np.int32(WINDOW[1]),
        "blockCatchProb": np.full(blocks, 0.1),
        "blockStim": ["['vis1', 'vis2', 'sound1', 'sound2']"] * blocks,
        "blockStimProb": np.nan,
        "blockStimRewarded": rewarded,
        "evenSampling": True,
        "firstBlockNogoStim": np.nan,
        "framesPerBlock": np.full(blocks, n_frames // blocks, np.int32),
        "githubTaskScript": "https://raw.githubusercontent.com/samgale/DynamicRoutingTask//"
        + "0" * 40
        + "/DynamicRouting1.py",
        "gratingEdge": "raisedCos",
        "gratingEdgeBlurWidth": 0.08,
        "gratingOri": {"vis1": np.array([0], np.int32), "vis2": np.array([90], np.int32)},
        "gratingPhase": np.array([0.0, 0.5]),
        "gratingSF": 0.04,
        "gratingSize": np.int32(50),
        "gratingTF": np.int32(2),
        "gratingType": "sqr",
        "importOptoRegions": False,
        "incorrectSound": np.nan,
        "incorrectSoundDur": np.int32(3),
        "incorrectSoundFreq": np.array([2000, 20000], np.int32),
        "incorrectSoundLevel": np.int32(68),
        "incorrectSoundVolume": 0.0665,
        "incorrectTimeoutColor": np.int32(-1),
        "incorrectTimeoutFrames": np.int32(TIMEOUT),
        "incorrectTrialRepeats": np.int32(1),
        "linearSweepFreq": {
            "sound1": np.array([6000, 10000], np.int32),
            "sound2": np.array([10000, 6000], np.int32),
        },
        "logSweepFreq": {"sound1": np.array([3.0, 2.5]), "sound2": np.array([3.0, 3.5])},
        "minUnimodalTrials": np.int32(0),
        "newBlockAutoRewards": np.int32(INSTRUCTION),
        "newBlockCatchTrials": np.int32(0),
        "newBlockGoTrials": np.int32(INSTRUCTION),
        "newBlockNogoTrials": np.int32(0),
        "noiseFiltFreq": {
            "sound1": np.array([4000, 8000], np.int32),
            "sound2": np.array([8000, 16000], np.int32),
        },
        "galvoChannels": np.nan,
        "optoChannels": np.nan,
        "optoDur": np.array([OPTO_S]) if opto else np.array([1], np.int32),
        "optoNewBlocks": np.zeros(0),
        "optoOffRamp": OPTO_RAMP_S,
        "optoOnRamp": np.int32(0),
        "optoOnsetFrame": np.array([0], np.int32),
        "optoPower": np.zeros(0),
        "optoProb": 1 / 3 if opto else np.int32(0),
        "optoSinFreq": np.int32(0),
        "postResponseWindowFrames": np.int32(POST_RESPONSE),
        "preStimFramesFixed": np.int32(QUIESCENT),
        "preStimFramesMax": np.int32(360),
        "preStimFramesVariableMean": np.int32(60),
        "quiescentFrames": np.int32(QUIESCENT),
        "responseWindow": np.array(WINDOW, np.int32),
        "rewardProbCatch": np.int32(0),
        "rewardProbGo": np.int32(1),
        "saveSoundArray": False,
        "soundDur": np.array([SOUND_S]),
        "soundLevel": np.array([68], np.int32),
        "soundType": "AM noise",
        "soundVolume": np.array([0.0665]),
        "taskVersion": "stage 5 ori AMN moving timeouts repeats" + (" opto" if opto else ""),
        "toneFreq": {"sound1": np.int32(6000), "sound2": np.int32(10000)},
        "trialAutoRewardScheduled": column("is_reward_scheduled", False, bool),
        "trialAutoRewarded": column("is_noncontingent_reward", False, bool)[:-1],
        "trialBlock": column("block_index", blocks - 1, np.int32) + np.int32(1),
        "trialEndFrame": column("end_frame", 0, np.int32)[:-1],
        "trialGratingOri": where(vis, [ORIENTATION.get(s, np.nan) for s in stims]),
        "trialGratingPhase": np.repeat(where(vis, rng.choice([0.0, 0.5], n).tolist())[:, None], 2, axis=1),
        "trialPreStimFrames": column("pre_frames", 120, np.int32),
        "trialRepeat": column("is_repeat", False, bool),
        "trialResponse": column("is_response", False, bool),
        "trialResponseFrame": column("response_frame", np.nan, np.float64),
        "trialRewarded": column("is_rewarded", False, bool),
        "trialSoundAM": where(aud, [AM_HZ.get(s, np.nan) for s in stims]),
        "trialSoundArray": np.zeros(0),
        "trialSoundDur": np.where(aud, SOUND_S, 0.0),
        "trialSoundFreq": np.where(aud[:, None], [2000.0, 20000.0], np.nan),
        "trialSoundSeed": rng.integers(0, 2**32, n, dtype=np.int64),
        "trialSoundType": ["AM noise" if a else "" for a in aud],
        "trialSoundVolume": np.where(aud, 0.0665, 0.0),
        "trialStartFrame": column("start_frame", unfinished, np.int32),
        "trialStim": stims,
        "trialStimStartFrame": column("stim_frame", unfinished + 120, np.int32),
        "trialVisStimContrast": vis.astype(np.int32),
        "trialVisStimFrames": (vis * STIMULUS_FRAMES).astype(np.int32),
        "trialsPerBlock": np.nan,
        "variableBlockFalseAlarmThreshold": 0.4,
        "variableBlockHitThreshold": 0.8,
        "variableBlockMaxFrames": np.int32(108000),
        "variableBlockMinFrames": np.int32(36000),
        "variableBlockThresholdTrials": np.int32(10),
        "variableBlocks": False,
        "visStimContrast": np.array([1], np.int32),
        "visStimFrames": np.array([STIMULUS_FRAMES], np.int32),
        "visStimType": "grating",
    }
    return contents | _laser(trials, opto, modern)


def _laser(trials: list[dict[str, Any]], opto: bool, modern: bool) -> dict[str, Any]:
    """Return the laser's datasets, as scripts before or since 2024-03-29 store them."""
    site = np.array([t["opto_site"] for t in trials] + [-1])
    on = site >= 0
    n = len(site)
    volts = np.where(on, [SITES[s][3] for s in site], np.nan)
    galvo = np.where(on[:, None], [[0.1 * SITES[s][1], 0.1 * SITES[s][2]] for s in site], np.nan)
    common: dict[str, Any] = {
        "trialOptoDur": np.where(on, OPTO_S, np.nan),
        "trialOptoOnsetFrame": np.where(on, 0.0, np.nan),
        "trialOptoVoltage": volts,
        "optoDevName": "laser_488",
        "optoSampleRate": np.int32(2000),
        "optoOffsetVoltage": {"laser_488": OFFSET_VOLTS} if modern and opto else OFFSET_VOLTS,
    }
    if not opto:
        return common | {
            "optoVoltage": np.zeros(0),
            "optoRegions": np.zeros(0),
            "optoBregma": np.zeros(0),
            "galvoVoltage": np.zeros(0),
            "trialGalvoVoltage": galvo,
        }
    labels = [SITES[s][0] if s >= 0 else "no opto" for s in site]
    common["optoPowerCalibrationData"] = {
        "input (V)": np.array([0.0, 1.0, 2.0]),
        "power (mW)": np.polyval(POLYNOMIAL, [0.0, 1.0, 2.0]),
        "offsetV": OFFSET_VOLTS,
        "poly coefficients": np.array(POLYNOMIAL),
    }
    bregma = np.array([[s[1], s[2]] for s in SITES])
    if not modern:
        return common | {
            "optoVoltage": np.array([SITES[0][3]]),
            "optoRegions": [s[0] for s in SITES],
            "optoBregma": bregma,
            "optoLocs": {"label": [s[0] for s in SITES], "X": bregma[:, 0], "Y": bregma[:, 1]},
            "galvoVoltage": 0.1 * bregma,
            "trialGalvoVoltage": galvo,
            "trialOptoLabel": labels,
            "bregmaGalvoCalibrationData": {
                "bregmaX": bregma[:, 0],
                "bregmaY": bregma[:, 1],
                "galvoX": 0.1 * bregma[:, 0],
                "galvoY": 0.1 * bregma[:, 1],
            },
        }
    k = len(SITES)
    zero = np.zeros(n)
    return common | {
        "trialGalvoX": galvo[:, 0],
        "trialGalvoY": galvo[:, 1],
        "trialGalvoDwellTime": np.where(on, 0.005, np.nan),
        "trialOptoParamsIndex": np.where(on, site.astype(np.float64), np.nan),
        "trialOptoLabel": labels,
        "trialOptoDevice": ["['laser_488']" if o else "" for o in on],
        "trialOptoDelay": np.where(on, 0.0, np.nan),
        "trialOptoOnRamp": np.where(on, 0.0, np.nan),
        "trialOptoOffRamp": np.where(on, OPTO_RAMP_S, np.nan),
        "trialOptoSinFreq": zero,
        "trialOptoItiOnsetFrame": np.full(n, np.nan),
        "optoFeedbackBlocks": np.zeros(0),
        "optoParams": {
            "label": [s[0] for s in SITES],
            "device": ["laser_488"] * k,
            "bregmaX": bregma[:, 0],
            "bregmaY": bregma[:, 1],
            "bregma offset X": np.zeros(k),
            "bregma offset Y": np.zeros(k),
            "galvoX": 0.1 * bregma[:, 0],
            "galvoY": 0.1 * bregma[:, 1],
            "optoVoltage": np.array([s[3] for s in SITES]),
            "power": np.polyval(POLYNOMIAL, [s[3] for s in SITES]),
            "frequency": np.zeros(k),
            "delay": np.zeros(k),
            "duration": np.full(k, OPTO_S),
            "on ramp": np.zeros(k),
            "off ramp": np.full(k, OPTO_RAMP_S),
            "onset frame": np.zeros(k, np.int32),
            "dwell time": np.full(k, 0.005),
            "probability": np.full(k, 1 / (3 * k)),
        },
    }
