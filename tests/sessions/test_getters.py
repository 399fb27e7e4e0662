"""What a session answers when it is asked: stimuli, responses, gaze, light, the wheel."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from project_cache.errors import ConfigurationError, MissingDataError, UnknownObjectError
from project_cache.sessions import ecephys
from project_cache.sessions.ecephys import EcephysSession

Write = Callable[..., Path]
#: as of conftest: units 100 and 105 are to be seen
SPIKES = {100: np.linspace(0.0, 9.0, 40), 105: np.linspace(0.5, 14.0, 50)}
TEXT = h5py.string_dtype()


@pytest.fixture
def session(recording: Write) -> EcephysSession:
    return EcephysSession(recording())


def series(file: h5py.File, path: str, data: Any, times: Any) -> None:
    group = file.create_group(path)
    group.attrs["neurodata_type"] = "TimeSeries"
    group["data"], group["timestamps"] = data, times


# ---------------------------------------------------------------------- stimuli


def test_stimulus_table(session: EcephysSession) -> None:
    flashes = session.get_stimulus_table("flashes")
    assert flashes.index.tolist() == [1, 2, 3]
    assert flashes.columns.tolist() == [
        "stimulus_block", "start_time", "stop_time", "stimulus_name", "color", "phase", "duration",
        "stimulus_condition_id",
    ]  # fmt: skip
    assert flashes["color"].tolist() == [1.0, -1.0, 1.0]
    movie = session.get_stimulus_table(["natural_movie_three"], include_detailed_parameters=True)
    assert movie["units"].tolist() == ["deg"] * 3
    assert "color" not in movie
    assert "color" in session.get_stimulus_table(("natural_movie_three",), include_unused_parameters=True)
    assert len(session.get_stimulus_table()) == 7
    nothing = session.get_stimulus_table("nothing")
    assert nothing.shape == (0, 0)
    assert nothing.index.name == "stimulus_presentation_id"


def test_text_that_spells_numbers(session: EcephysSession) -> None:
    assert session.get_stimulus_table("flashes")["phase"].tolist() == ["null", "[0.0, 0.0]", "null"]
    parsed = session.get_stimulus_table("flashes", parse_parameters=True)
    assert parsed["phase"].tolist() == ["null", (0.0, 0.0), "null"]
    assert session.stimulus_presentations["phase"].tolist()[2] == "[0.0, 0.0]"


def test_what_is_handed_out_can_be_written_to(session: EcephysSession) -> None:
    for unused in (False, True):
        table = session.get_stimulus_table(include_unused_parameters=unused)
        table["start_time"] = 0.0
    assert session.stimulus_presentations["start_time"].tolist() == [0, 2, 3, 4, 10, 11, 12]


def test_stimulus_epochs(session: EcephysSession) -> None:
    epochs = session.get_stimulus_epochs()
    assert epochs.columns.tolist() == [
        "start_time",
        "stop_time",
        "duration",
        "stimulus_name",
        "stimulus_block",
    ]
    assert epochs["stimulus_name"].tolist() == ["spontaneous", "flashes", "natural_movie_three"]
    assert epochs["start_time"].tolist() == [0.0, 2.0, 10.0]
    assert epochs["duration"].tolist() == [1.5, 2.25, 3.0]
    assert epochs["stimulus_block"].tolist() == ["null", 0.0, 1.0]
    # the name that AllenSDK looks for is in no file; the one that is can be given
    long = session.get_stimulus_epochs({"spontaneous": 90.0, "flashes": 2.25})
    assert long["stimulus_name"].tolist() == ["flashes", "natural_movie_three"]


def test_parameter_values(session: EcephysSession) -> None:
    values = session.get_stimulus_parameter_values()
    assert {name: each.tolist() for name, each in values.items()} == {
        "color": [1.0, -1.0],
        "phase": ["[0.0, 0.0]"],
        "frame": [0.0, 1.0, 2.0],
    }
    nulls = session.get_stimulus_parameter_values([1, 2], drop_nulls=False)
    assert nulls["phase"].tolist() == ["[0.0, 0.0]", "null"]
    movie = session.get_parameter_values_for_stimulus("natural_movie_three")
    assert list(movie) == ["frame"]
    with pytest.warns(UserWarning, match="presentations was chosen"):
        assert session.get_parameter_values_for_stimulus("nothing") == {}


def test_pauses(session: EcephysSession) -> None:
    pauses = session.inter_presentation_intervals
    assert pauses.index.names == ["from_presentation_id", "to_presentation_id"]
    assert pauses["interval"].tolist() == [0.5, 0.75, 0.75, 5.75, 0.0, 0.0]
    assert session.get_inter_presentation_intervals_for_stimulus("flashes").index.tolist() == [(1, 2), (2, 3)]
    both = session.get_inter_presentation_intervals_for_stimulus(["flashes", "natural_movie_three"])
    assert len(both) == 5
    assert len(session.get_inter_presentation_intervals_for_stimulus("nothing")) == 0


# ---------------------------------------------------------------------- responses


def test_spike_counts(session: EcephysSession) -> None:
    edges = [0, 0.5, 1]
    counts = session.presentationwise_spike_counts(edges, [1, 3], [105, 100])
    assert counts.name == "spike_counts"
    assert counts.dims == ("stimulus_presentation_id", "time_relative_to_stimulus_onset", "unit_id")
    assert counts.dtype == np.uint16
    assert counts.time_relative_to_stimulus_onset.to_numpy().tolist() == [0.25, 0.75]
    for unit, train in SPIKES.items():
        for number, start in ((3, 4.0), (1, 2.0)):
            expected = [((train >= start + a) & (train <= start + a + 0.5)).sum() for a in (0, 0.5)]
            assert counts.sel(unit_id=unit, stimulus_presentation_id=number).to_numpy().tolist() == expected
    # everything, by None
    assert session.presentationwise_spike_counts([0, 0.1], None, None).shape == (7, 1, 2)
    one = session.presentationwise_spike_counts([0, 0.1], 2, 105)
    assert one.shape == (1, 1, 1)


def test_a_spike_on_an_edge(session: EcephysSession) -> None:
    # unit 100 fires at 0, and flash 1 begins at 2: a bin from -2 on has the spike at its start
    for half_open, expected in ((False, [1, 1]), (True, [0, 1])):
        counts = session.presentationwise_spike_counts(
            [-2.125, -2.0, -1.875], [1], [100], half_open=half_open
        )
        assert counts.to_numpy().ravel().tolist() == expected


def test_counts_of_edges_that_cannot_be(session: EcephysSession) -> None:
    with pytest.raises(ConfigurationError, match=r"at \(presentation, edge\) \(0, 1\), \(1, 1\)\. Sort"):
        session.presentationwise_spike_counts([0, 0.2, 0.1], [1, 2], [100])
    with pytest.raises(ValueError, match="two edges or more"):
        session.presentationwise_spike_counts([0.1], [1], [100])
    with pytest.raises(ConfigurationError, match=r"returned edges of shape \(1, 2\)"):
        session.presentationwise_spike_counts([0, 1, 2], [1], [100], time_domain_callback=lambda d: d[:, 1:])


def test_warnings_of_counts_name_the_users_line(session: EcephysSession) -> None:
    calls: dict[str, Callable[[], Any]] = {
        "binarized": lambda: session.presentationwise_spike_counts([0, 0.1], [1], [100], binarize=True),
        "overlap": lambda: session.presentationwise_spike_counts([-1, 0.5], [1, 2], [100]),
        "presentations was chosen": lambda: session.presentationwise_spike_counts([0, 1], [], [100]),
        "units was chosen": lambda: session.presentationwise_spike_times([1], []),
    }
    for match, call in calls.items():
        with pytest.warns(UserWarning, match=match) as said:
            call()
        assert [Path(each.filename).name for each in said] == [Path(__file__).name]


def test_spike_times(session: EcephysSession) -> None:
    spikes = session.presentationwise_spike_times()
    assert spikes.index.name == "spike_time"
    assert spikes.columns.tolist() == [
        "stimulus_presentation_id",
        "unit_id",
        "time_since_stimulus_presentation_onset",
    ]
    assert spikes.dtypes.tolist() == [np.int64, np.int64, np.float64]
    assert (np.diff(spikes.index) >= 0).all()
    table = session.stimulus_presentations
    for unit, train in SPIKES.items():
        for number, start, stop in zip(table.index, table["start_time"], table["stop_time"], strict=True):
            mine = spikes[(spikes["unit_id"] == unit) & (spikes["stimulus_presentation_id"] == number)]
            expected = train[(train > start) & (train <= stop)]
            np.testing.assert_array_equal(mine.index, expected)
            np.testing.assert_array_equal(mine["time_since_stimulus_presentation_onset"], expected - start)
    # the first spike of unit 100 is just when the session's first presentation begins
    assert 0.0 not in spikes.index
    assert 0.0 in session.presentationwise_spike_times(half_open=True).index
    again = session.presentationwise_spike_times([3, 0, 1], [105, 100])
    np.testing.assert_array_equal(
        again.index, spikes.index[spikes["stimulus_presentation_id"].isin([0, 1, 3])]
    )


def test_no_spikes_have_the_same_columns(recording: Write) -> None:
    session = EcephysSession(recording(), filter_out_of_brain_units=False)
    nothing = session.presentationwise_spike_times([1], [104])
    some = session.presentationwise_spike_times([1], [100])
    assert len(nothing) == 0
    assert nothing.columns.equals(some.columns)
    assert nothing.dtypes.equals(some.dtypes)
    assert nothing.index.name == some.index.name


def test_condition_statistics(session: EcephysSession) -> None:
    found = session.conditionwise_spike_statistics([1, 2, 3], [105, 100])
    assert found.index.names == ["unit_id", "stimulus_condition_id"]
    assert found.columns.tolist() == [
        "spike_count", "stimulus_presentation_count", "spike_mean", "spike_std", "spike_sem",
    ]  # fmt: skip
    conditions = session.stimulus_presentations["stimulus_condition_id"]
    assert found.index.tolist() == [
        (unit, condition) for condition in sorted(set(conditions[1:4])) for unit in (100, 105)
    ]
    train = SPIKES[105]
    number = [((train > start) & (train <= start + 0.25)).sum() for start in (2.0, 4.0)]
    row = found.loc[(105, conditions[1])]
    assert row["spike_count"] == sum(number)
    assert row["stimulus_presentation_count"] == 2
    assert row["spike_mean"] == np.mean(number)
    assert row["spike_std"] == pytest.approx(np.std(number, ddof=1))
    assert np.isnan(found.loc[(105, conditions[2]), "spike_std"])
    rates = session.conditionwise_spike_statistics([1, 2, 3], [105, 100], use_rates=True)
    assert "spike_count" not in rates
    np.testing.assert_allclose(rates["spike_mean"], found["spike_mean"] / 0.25)
    # one presentation, one unit
    assert len(session.conditionwise_spike_statistics(1, 100)) == 1


def test_units_that_do_not_fire(recording: Write) -> None:
    session = EcephysSession(recording(), filter_out_of_brain_units=False)
    named = session.conditionwise_spike_statistics([1, 2], [104])
    assert named["spike_count"].tolist() == [0, 0]
    fired = session.conditionwise_spike_statistics([1, 2]).index.get_level_values(0)
    assert 104 not in fired
    every = session.conditionwise_spike_statistics([1, 2], include_silent=True).index.get_level_values(0)
    assert set(every) == {100, 103, 104, 105}
    with pytest.warns(UserWarning, match="chosen"):
        assert session.conditionwise_spike_statistics([]).shape == (0, 5)


def test_rows_are_chosen_by_any_collection(session: EcephysSession) -> None:
    expected = session.presentationwise_spike_counts([0, 1], [1, 3], [100]).to_numpy()
    mask = session.stimulus_presentations["color"] == 1.0
    for ids in ((1, 3), pd.Index([1, 3]), pd.Series([1, 3]), np.array([1, 3]), {1: 0, 3: 0}, mask):
        found = session.presentationwise_spike_counts([0, 1], ids, [100])
        np.testing.assert_array_equal(found, expected)
    for presentations, units, said in (([1, 99], [100], "presentations 99"), ([1], [100, 102], "units 102")):
        with pytest.raises(UnknownObjectError, match=said):
            session.presentationwise_spike_counts([0, 1], presentations, units)


def test_masked_presentations_have_no_condition(recording: Write) -> None:
    path = recording()
    with h5py.File(path, "r+") as file:
        group = file.create_group("intervals/invalid_times")
        group.attrs["colnames"] = np.array(["start_time", "stop_time", "tags"], dtype=TEXT)
        group["start_time"], group["stop_time"], group["id"] = [3.1, 6.0], [3.2, 6.5], [0, 1]
        group["tags"] = np.array(
            ["EcephysSession", "7", "stimulus", "EcephysProbe", "1", "probeA"], dtype=object
        )
        group["tags_index"] = np.array([3, 6], dtype=np.uint8)
        group["tags_index"].attrs["neurodata_type"] = "VectorIndex"
    session = EcephysSession(path)
    assert session.get_invalid_times()["start_time"].tolist() == [3.1, 6.0]
    with pytest.warns(UserWarning, match="marked as invalid") as said:
        found = session.conditionwise_spike_statistics(None, [100])
    assert Path(said[0].filename).name == Path(__file__).name
    # once for a session
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(session.spike_times) == 2
    assert found["stimulus_presentation_count"].sum() == 6
    assert found.index.get_level_values(1).dtype == np.float64
    color = session.get_stimulus_parameter_values()["color"].tolist()
    assert color[0] == 1.0
    assert np.isnan(color[1])
    assert session.get_stimulus_parameter_values(drop_invalid=True)["color"].tolist() == [1.0]
    assert session.get_stimulus_epochs()["stimulus_name"].tolist() == [
        "spontaneous", "flashes", "invalid_presentation", "flashes", "natural_movie_three",
    ]  # fmt: skip


# ---------------------------------------------------------------------- eyes, light, the wheel, places


def test_missing_parts(session: EcephysSession) -> None:
    assert session.get_pupil_data() is None
    assert session.get_screen_gaze_data() is None
    assert session.get_screen_gaze_data(include_filtered_data=True) is None
    assert session.get_invalid_times().empty
    with pytest.raises(MissingDataError, match="no optotagging"):
        _ = session.optogenetic_stimulation_epochs
    with pytest.raises(KeyError, match="raw_running_wheel_rotation"):
        session.api.get_raw_running_data()
    with pytest.raises(MissingDataError, match="running_wheel_rotation"):
        session.api.get_running_speed(include_rotation=True)


def test_pupil_and_gaze(recording: Write) -> None:
    path = recording()
    times = np.arange(4) / 30
    with h5py.File(path, "r+") as file:
        for n, name in enumerate(("cr", "pupil", "eye")):
            group = file.create_group(f"processing/eye_tracking/{name}_ellipse_fits")
            names = ["center_x", "center_y", "height", "phi", "width", "timestamps"]
            group.attrs["colnames"] = np.array(names, dtype=TEXT)
            for m, column in enumerate(names):
                group[column] = np.arange(4.0) + 10 * m + 100 * n
        for kind in ("raw", "filtered"):
            for n, name in enumerate(("eye_area", "pupil_area")):
                series(file, f"processing/{kind}_gaze_mapping/{name}", np.arange(4.0) + n, times)
            for name in ("screen_coordinates", "screen_coordinates_spherical"):
                places = np.stack([np.arange(4.0), 10 + np.arange(4.0)], axis=1)
                series(file, f"processing/{kind}_gaze_mapping/{name}", places, times)
    session = EcephysSession(path)
    pupil = session.get_pupil_data()
    assert pupil is not None
    assert pupil.index.name == "Time (s)"
    np.testing.assert_array_equal(pupil.index, times)
    assert pupil.columns.tolist() == [
        f"{what}_{name}"
        for what in ("corneal_reflection", "pupil", "eye")
        for name in ("center_x", "center_y", "height", "width", "phi")
    ]
    # from edge to edge; the file has half of it
    assert pupil.iloc[1].tolist()[:5] == [1.0, 11.0, 42.0, 82.0, 31.0]
    gaze = session.get_screen_gaze_data()
    assert gaze is not None
    assert gaze.columns.tolist() == [
        "raw_eye_area", "raw_pupil_area", "raw_screen_coordinates_x_cm", "raw_screen_coordinates_y_cm",
        "raw_screen_coordinates_spherical_x_deg", "raw_screen_coordinates_spherical_y_deg",
    ]  # fmt: skip
    # y is first in the file
    assert gaze["raw_screen_coordinates_x_cm"].tolist() == [10, 11, 12, 13]
    both = session.get_screen_gaze_data(include_filtered_data=True)
    assert both is not None
    assert both.shape == (4, 12)
    with h5py.File(path, "r+") as file:
        del file["processing/filtered_gaze_mapping"]
    assert EcephysSession(path).get_screen_gaze_data() is not None
    assert EcephysSession(path).get_screen_gaze_data(include_filtered_data=True) is None


def test_optotagging(recording: Write) -> None:
    path = recording()
    with h5py.File(path, "r+") as file:
        group = file.create_group("processing/optotagging/optogenetic_stimulation")
        # as older files call it
        columns = {
            "start_time": [1.0, 2.0],
            "condition": ["a", "b"],
            "level": [1.5, 2.0],
            "name": ["pulse"] * 2,
        }
        group.attrs["colnames"] = np.array([*columns, "tags"], dtype=TEXT)
        for name, values in columns.items():
            group[name] = np.array(values, dtype=object if isinstance(values[0], str) else float)
        group["tags"], group["id"] = np.array(["x", "y"], dtype=object), [0, 1]
    epochs = EcephysSession(path).optogenetic_stimulation_epochs
    assert epochs.columns.tolist() == ["start_time", "condition", "level", "stimulus_name"]
    assert epochs.index.name == "id"
    assert epochs["condition"].dtype == object


def test_the_wheel(recording: Write) -> None:
    path = recording()
    times = np.arange(7) / 60
    with h5py.File(path, "r+") as file:
        series(file, "processing/running/running_wheel_rotation", np.arange(6.0), times[:6])
        series(file, "acquisition/raw_running_wheel_rotation", np.arange(7.0), times)
        for name in ("signal", "supply"):
            series(file, f"acquisition/running_wheel_{name}_voltage", np.ones(7), times)
    api = EcephysSession(path).api
    assert api.path == str(path)
    running = api.get_running_speed(include_rotation=True)
    assert running.columns.tolist() == ["start_time", "end_time", "velocity", "net_rotation"]
    assert api.get_running_speed().columns.tolist() == ["start_time", "end_time", "velocity"]
    raw = api.get_raw_running_data()
    assert raw.columns.tolist() == ["frame_time", "net_rotation", "signal_voltage", "supply_voltage"]
    assert len(raw) == 7


def test_structures_along_channels(recording: Write) -> None:
    session = EcephysSession(recording())
    labels, intervals = session.channel_structure_intervals([11, 12, 13, 14])
    assert labels.tolist() == ["VISp", "LGd", None]
    assert intervals.tolist() == [0, 2, 3, 4]
    labels, intervals = session.channel_structure_intervals([13, 11, 14, 12], sort=True)
    assert labels.tolist() == ["VISp", "LGd", None]
    labels, _ = session.channel_structure_intervals([13, 11, 12, 14])
    assert labels.tolist() == ["LGd", "VISp", None]
    with pytest.warns(UserWarning, match="several probes"):
        session.channel_structure_intervals([11, 21])
    with pytest.raises(UnknownObjectError, match="channels 23"):
        session.channel_structure_intervals([23])


def metrics() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "p_value_rf": [0.5],
            "snr": [9.0],
            "on_screen_rf": [True],
            "pref_images_multi_ns": [True],
            "l_ratio": [2.0],
        },
        index=pd.Index([105], name="ecephys_unit_id"),
    )


def test_published_metrics_follow_the_units_own(recording: Write) -> None:
    path = recording()
    plain = EcephysSession(path).units
    session = EcephysSession(path, unit_metrics=metrics)
    assert session.units.columns.tolist() == [*plain.columns, "p_value_rf", "pref_image_multi_ns"]
    assert session.units.index.equals(plain.index)
    assert session.units.loc[105, "p_value_rf"] == 0.5
    assert np.isnan(session.units.loc[100, "p_value_rf"])
    assert session.units["snr"].tolist() == plain["snr"].tolist()
    pd.testing.assert_frame_equal(pickle.loads(pickle.dumps(session)).units, session.units)
    assert EcephysSession(path, unit_metrics=lambda: None).units.columns.equals(plain.columns)


def test_allensdks_functions_are_beside_the_class() -> None:
    for name in (
        "build_spike_histogram", "build_time_window_domain", "removed_unused_stimulus_presentation_columns",
        "nan_intervals", "array_intervals", "is_distinct_from", "coerce_scalar",
    ):  # fmt: skip
        assert callable(getattr(ecephys, name))
    with pytest.warns(UserWarning, match="one of them"):
        assert ecephys.coerce_scalar(1, "only one of them", warn=True) == [1]
    assert "color_triplet" in EcephysSession.DETAILED_STIMULUS_PARAMETERS


# ---------------------------------------------------------------------- files that are not as they should be


def test_spikes_that_are_not_in_order_are_counted_where_they_belong(recording: Write) -> None:
    path = recording()
    straight = EcephysSession(path)
    ids = straight.stimulus_presentations.index.to_numpy()
    edges = np.linspace(0.0, 0.25, 6)
    expected = straight.presentationwise_spike_counts(edges, ids[1:4], [100, 105])
    times = straight.presentationwise_spike_times(ids, [100, 105])
    statistics = straight.conditionwise_spike_statistics(ids, [100, 105])
    straight.close()
    with h5py.File(path, "r+") as file:
        ends = file["units/spike_times_index"][:].astype(int)
        data = file["units/spike_times"]
        for start, end in zip([0, *ends[:-1]], ends, strict=True):
            data[start:end] = np.random.default_rng(3).permutation(data[start:end])
    mixed = EcephysSession(path)
    np.testing.assert_array_equal(mixed.presentationwise_spike_counts(edges, ids[1:4], [100, 105]), expected)
    pd.testing.assert_frame_equal(mixed.presentationwise_spike_times(ids, [100, 105]), times)
    pd.testing.assert_frame_equal(mixed.conditionwise_spike_statistics(ids, [100, 105]), statistics)


def test_channels_without_a_structure_column_are_in_none(recording: Write) -> None:
    path = recording()
    with h5py.File(path, "r+") as file:
        table = file["general/extracellular_ephys/electrodes"]
        del table["location"]
        table.attrs["colnames"] = [name for name in table.attrs["colnames"] if name != "location"]
    channels = EcephysSession(path).channels
    assert channels["structure_acronym"].isna().all()
