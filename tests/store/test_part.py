"""Parts: unfinished objects, and who may go on with them."""

from __future__ import annotations

from pathlib import Path

from project_cache.store.owners import orphans
from project_cache.store.part import Part


def test_a_part_of_a_living_process_is_left_alone(folder: Path) -> None:
    final = folder / "x.nwb"
    mine = Part(final)
    mine.restart(origin="o", validator="v", size=10)
    mine.write(b"12345")
    mine.checkpoint()
    assert orphans(final) == []
    assert Part.claim(final).position == 0
    mine.release()
    claimed = Part.claim(final)
    assert claimed.position == 5
    claimed.write(b"67890")
    assert claimed.digest == "blake3:" + __import__("blake3").blake3(b"1234567890").hexdigest()
    claimed.discard()


def test_a_part_is_cut_to_what_was_known_to_be_on_the_disk(folder: Path) -> None:
    final = folder / "x.nwb"
    part = Part(final)
    part.restart(origin="o", validator="v", size=10)
    part.write(b"12345")
    part.release()
    with part.path.open("ab") as file:
        file.write(b"\0\0\0")  # what a power cut may leave behind the last flush
    claimed = Part.claim(final)
    assert (claimed.position, claimed.path.stat().st_size) == (5, 5)
    claimed.discard()
    assert list(folder.iterdir()) == []
