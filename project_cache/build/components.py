"""The components of a Dynamic Routing session: their names, where each goes in the NWB, what makes it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["COMPONENTS", "FUNCTIONS", "Component", "in_place"]


@dataclass(frozen=True, slots=True)
class Component:
    """One part of an NWB file that can be made by itself.

    Attributes
    ----------
    name : str
        What the session object calls it.
    place : str
        Where it goes in the file: ``acquisition``, ``processing/behavior``, ``units`` … Empty for what others
        are made from and no file has.
    function : str
        ``"module:function"``.
    """

    name: str
    place: str
    function: str


def _rows(place: str, module: str, *names: str) -> Iterable[Component]:
    for name in names:
        shown, _, function = name.partition("=")
        yield Component(shown, place, f"project_cache.build.{module}:{function or shown}")


_METADATA = (
    "metadata", "session_start_time", "institution", "lab", "experimenter", "task_version", "source_script",
    "source_script_file_name", "epoch_tags", "session_description", "experiment_description", "notes",
)  # fmt: skip
_FLAGS = (
    "is_sync", "is_ephys", "is_video", "is_sorted", "is_annotated", "is_task", "is_lfp", "is_waveforms",
    "is_surface_channels", "rig", "project", "is_templeton", "is_context_naive", "experiment_day", "behavior_day",
    "is_naive", "is_production", "is_injection_perturbation", "is_injection_control", "is_stage_5_passed",
    "is_wildtype", "is_opto", "is_opto_control", "is_training", "is_hab", "is_late_autorewards",
    "is_first_block_aud", "is_first_block_vis", "is_engaged", "is_good_behavior", "is_bad_behavior", "session_type",
    "issues", "keywords",
)  # fmt: skip

#: in the order in which they are put into the file
COMPONENTS: tuple[Component, ...] = (
    *_rows("", "metadata", *_METADATA),
    *_rows("", "flags", *_FLAGS),
    *_rows("", "trials", "trials_table"),
    *_rows("", "performance", "performance_table"),
    *_rows("", "licks", "lick_table"),
    *_rows("", "rewards", "reward_table"),
    *_rows("", "sam", "sam"),
    *_rows("", "eye_tracking", "eye_ellipses"),
    *_rows("subject", "subject", "subject"),
    *_rows("devices", "devices", "devices"),
    *_rows("electrode_groups", "devices", "electrode_groups"),
    *_rows("electrodes", "electrodes", "electrodes"),
    *_rows("units", "units", "units"),
    *_rows("epochs", "epochs", "epochs"),
    *_rows("trials", "trials", "trials"),
    *_rows("invalid_times", "invalid_times", "invalid_times"),
    *_rows("intervals", "performance", "performance"),
    *_rows("intervals", "mapping", "vis_rf_mapping_trials", "aud_rf_mapping_trials", "luminance_test_trials"),
    *_rows("intervals", "optotagging", "optotagging_trials"),
    *_rows("acquisition", "raw_ephys", "raw_ap", "raw_lfp"),
    *_rows("acquisition", "licks", "lick_sensor_rising_edges", "lick_sensor_falling_edges"),
    *_rows("acquisition", "rewards", "rewards", "rewards_details"),
    *_rows("acquisition", "frame_times", "frame_times"),
    *_rows("acquisition", "manipulator_positions", "manipulator_positions"),
    *_rows("processing/behavior", "licks", "licks", "licks_details"),
    *_rows("processing/behavior", "running_speed", "running_speed"),
    *_rows("processing/behavior", "quiescence", "quiescent_interval_violations"),
    *_rows("processing/behavior", "eye_tracking", "eye_tracking", "pupil", "gaze"),
    *_rows("processing/behavior", "face_motion", "face_motion"),
    *_rows("processing/behavior", "features", "keypoints"),
    *_rows("processing/ecephys", "lfp", "lfp"),
    *_rows("analysis", "spike_histograms", "all_spike_histograms"),
    *_rows("analysis", "drift_maps", "drift_maps"),
    *_rows("analysis", "receptive_fields", "vis_rf_maps", "aud_rf_maps"),
    *_rows("analysis", "response_metrics", "response_metrics"),
    *_rows("stimulus_template", "stimulus_templates", "stimulus_templates"),
    *_rows("devices", "optogenetics", "light_sources"),
    *_rows("ogen_sites", "optogenetics", "optogenetic_sites"),
    *_rows("stimulus", "optogenetics", "optogenetic_series"),
)

FUNCTIONS = {component.name: component.function for component in COMPONENTS}


def in_place(place: str) -> list[str]:
    """Return the names of the components that go to a place in the file."""
    return [component.name for component in COMPONENTS if component.place == place]
