"""How an object is divided among connections."""

from __future__ import annotations

import pytest

from project_cache.transfer.pieces import MIB, Connections, Pieces, Pulse, cut, piece_bytes


def test_pieces_are_never_less_than_eight_megabytes_and_never_very_many() -> None:
    assert piece_bytes(1) == piece_bytes(8 << 30) == 8 * MIB
    assert piece_bytes(16 << 30) == 16 * MIB
    assert piece_bytes(5 << 40) == 64 * MIB


def test_gaps_are_cut_without_losing_or_doubling_a_byte() -> None:
    gaps = [(0, 5), (7, 30), (31, 32)]
    parts = cut(gaps, 8)
    assert [n for a, b in parts for n in range(a, b)] == [n for a, b in gaps for n in range(a, b)]
    assert all(a // 8 == (b - 1) // 8 for a, b in parts)
    assert cut([], 8) == []


def test_pieces_are_given_out_in_order_and_come_back_where_they_stopped() -> None:
    pieces = Pieces([(0, 20)], 8)
    first, second = pieces.take(0.0), pieces.take(0.0)
    assert first is not None
    assert second is not None
    assert [(p.start, p.end) for p in (first, second)] == [(0, 8), (8, 16)]
    first.position = 3
    pieces.ended(first)
    again = pieces.take(0.0)
    assert again is not None
    assert (again.start, again.end) == (3, 8)
    assert pieces.take_at(8, 0.0) is None  # somebody has it
    assert pieces.take_at(16, 0.0) is not None
    assert pieces.take(0.0) is None
    assert not pieces.all_there


def test_at_the_end_the_largest_rest_is_halved() -> None:
    pieces = Pieces([(0, 8 * MIB)], 8 * MIB)
    one = pieces.take(0.0)
    assert one is not None
    one.position = 4 * MIB
    other = pieces.take(0.0)
    assert other is not None
    assert (one.end, other.start, other.end) == (6 * MIB, 6 * MIB, 8 * MIB)
    assert pieces.take(0.0) is None  # 2 MiB are not worth a request


def test_what_has_come_to_a_stop_is_taken_over() -> None:
    pieces = Pieces([(0, 100)], 100, stalled_s=5.0)
    slow = pieces.take(0.0)
    assert slow is not None
    slow.position = 30
    assert pieces.take(5.0) is None
    other = pieces.take(5.1)
    assert other is not None
    assert (slow.end, other.start, other.end) == (30, 30, 100)
    assert pieces.left_behind == [slow]
    assert pieces.flying == [other]
    pieces.ended(slow)
    other.position = 100
    pieces.ended(other)
    assert pieces.all_there


@pytest.mark.parametrize(
    ("count", "waited", "left", "most", "split"),
    [
        (3 * MIB, 0.29, 1 << 30, None, True),  # 10 MB/s, all of it waiting
        (3 * MIB, 0.10, 1 << 30, None, False),  # the machine is busy, or its disk
        (45 * MIB, 0.29, 1 << 30, None, False),  # 150 MB/s are enough
        (3 * MIB, 0.29, 3 * MIB, None, False),  # nearly there
        (3 * MIB, 0.29, 1 << 30, 10e6, False),  # as fast as it may be
        (3 * MIB, 0.29, 1 << 30, 40e6, True),
    ],
)
def test_more_connections_are_for_lines_that_are_waited_for(
    count: int, waited: float, left: int, most: float | None, split: bool
) -> None:
    pulse = Pulse(now=0.0)
    pulse.beat(count, waited)
    assert not pulse.says_split(0.1, left, most)  # too early to say
    assert not pulse.says_split(0.3, left, most)  # once is chance
    pulse.beat(count, waited)
    assert pulse.says_split(0.6, left, most) is split


def test_the_faster_it_is_the_longer_it_is_watched() -> None:
    pulse = Pulse(now=0.0)
    said = []
    for n in range(1, 6):
        pulse.beat(15 * MIB, 0.29)  # 50 MB/s
        said.append(pulse.says_split(0.3 * n, 1 << 30))
    assert said == [False, False, False, True, True]
    # a server that had to find its bytes first
    pulse = Pulse(now=0.0)
    for n, count in enumerate([15, 12, 8, 400, 15, 15], 1):
        pulse.beat(count * MIB, 0.29)
        assert not pulse.says_split(0.3 * n, 1 << 30)


def grown(rates: list[float], most: int = 16) -> list[int]:
    """How many connections are wanted, second by second, at such rates."""
    line, arrived, found = Connections(most, 0.0), 0.0, []
    for second, rate in enumerate(rates, 1):
        arrived += rate
        found.append(line.look(float(second), int(arrived)))
    return found


def test_connections_grow_while_that_brings_more() -> None:
    assert grown([80, 120, 160, 160]) == [12, 16, 16, 16]
    assert grown([80, 81, 80, 80]) == [12, 8, 8, 8]
    assert grown([80, 160], most=4) == [4, 4]


def test_a_server_that_objects_has_fewer_and_is_asked_again_carefully() -> None:
    line = Connections(16, 0.0)
    line.failed(0.5, others=3)
    assert line.wanted == 3
    assert line.look(2.0, 100) == 3  # peace
    assert line.look(4.0, 200) == 4
    line.failed(4.1, others=0)
    assert line.wanted == 1
