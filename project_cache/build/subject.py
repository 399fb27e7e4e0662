"""The subject, from the record that the rig's computer or the breeding database left beside the data."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pynwb.file import Subject

    from project_cache.build.clock import SessionClock
    from project_cache.raw.recording import RawRecording

__all__ = ["described", "genotype_of", "subject"]


def subject(raw: RawRecording, clock: SessionClock) -> Subject:
    """Return the subject; only its id where no subject.json lies with the data."""
    from pynwb.file import Subject

    said = raw.subject
    if not said:
        return Subject(subject_id=str(raw.id.subject), species="Mus musculus")
    return Subject(**described(said, str(raw.id.subject), clock.start_time))


def genotype_of(said: Mapping[str, Any] | None) -> str | None:
    """Return the genotype that a subject.json says, without making anything else of it."""
    details = said.get("subject_details") if said else None
    genotype = {**(said or {}), **(details if isinstance(details, dict) else {})}.get("genotype")
    return genotype if isinstance(genotype, str) else None


def described(said: Mapping[str, Any], subject_id: str, start: datetime) -> dict[str, Any]:
    """Return what is known of a subject, by the names that NWB has for it.

    Parameters
    ----------
    said : mapping
        The content of a subject.json: of any version of the AIND schema, or of older tables.
    subject_id : str
        The id by the session's name, for where the file has none.
    start : datetime
        When the session began: the subject's age is that of this day.
    """
    # since 2.0 of the schema what concerns the animal lies one level down
    details = said.get("subject_details")
    said = {**said, **details} if isinstance(details, dict) else dict(said)
    born = _moment(said.get("date_of_birth"), start)
    species = said.get("species")
    if isinstance(species, dict):
        species = species.get("name")
    breeding = said.get("breeding_info")
    strain = _named(said.get("strain")) or _named(said.get("background_strain")) or said.get("breeding_group")
    if not strain and isinstance(breeding, dict):
        strain = breeding.get("breeding_group")
    sex = str(said.get("sex") or "")[:1].upper()
    known = {
        "subject_id": str(said.get("subject_id") or subject_id),
        "species": str(species or "Mus musculus"),
        "sex": sex if sex in "MFUO" and sex else "U",
        "date_of_birth": born,
        "genotype": said.get("genotype"),
        "strain": strain,
        "description": said.get("description"),
        "age": f"P{(start - born).days}D" if born else said.get("age"),
    }
    return {name: value for name, value in known.items() if value is not None}


def _named(value: Any) -> Any:
    return value.get("name") if isinstance(value, dict) else value


def _moment(text: Any, start: datetime) -> datetime | None:
    """A day or moment in ISO form, in the zone of the session where it has none."""
    if isinstance(text, date) and not isinstance(text, datetime):
        text = text.isoformat()
    try:
        moment = text if isinstance(text, datetime) else datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=start.tzinfo)
