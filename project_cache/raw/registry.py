"""The registry: the sessions that a project tracks, and what is known of each before its files are looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from project_cache.errors import ManifestError, UnknownObjectError
from project_cache.raw.dates import DateRecord
from project_cache.raw.identity import ProjectRecord, SessionRecord, SubjectRecord
from project_cache.raw.places import AnyPath, place, read_text

__all__ = ["TEMPLETON_SUBJECTS", "Registry", "SessionInfo", "project_of", "read_registry"]

#: subjects of the pilot study that was trained without context blocks: the project that they are of when it is
#: not said
TEMPLETON_SUBJECTS = frozenset(
    {
        620263, 620264, 628801, 636397, 644547, 646318, 649944, 662983, 668759, 670180, 670181, 670248,
    }
)  # fmt: skip
_TEMPLETON = "TempletonPilotSession"
_DEFAULT_PROJECT = "DynamicRouting"
#: what each kind of session in the file has
_KINDS = {
    "ephys": {"is_ephys": True, "is_sync": True},
    "behavior_with_sync": {"is_ephys": False, "is_sync": True},
    "behavior": {"is_ephys": False, "is_sync": False},
}
#: what numbers the days of recordings, in the order in which it counts
_DAYS = ("day", "ephys_day", "experiment_day", "insertion_day")
_KNOWN = frozenset({*_DAYS, "idx", "session_kwargs", "notes", "issues"})


@dataclass(frozen=True, slots=True, eq=False)
class SessionInfo:
    """What the registry knows of a session. Equal, and hashed, by its id.

    Attributes
    ----------
    id : SessionRecord
        The session.
    project : ProjectRecord
        ``DynamicRouting`` or ``TempletonPilotSession``.
    is_ephys, is_sync : bool
        Whether probes were recorded, and whether there is a sync file.
    allen_path : str
        Where the rig's files were put, as the registry has it: a folder of a file server, usually out of reach.
    experiment_day : int, optional
        Which day of recordings with this subject it was, from 1.
    session_kwargs : mapping
        What the session object is to be told: ``probe_letters_to_skip``, ``is_production`` and so on.
    notes : str
        What was noted of it.
    issues : tuple of str
        What is wrong with it, as addresses of issues; such sessions are left out of loops over a project.
    """

    id: SessionRecord
    project: ProjectRecord
    is_ephys: bool
    is_sync: bool
    allen_path: str = ""
    experiment_day: int | None = None
    session_kwargs: Mapping[str, Any] = field(default_factory=dict)
    notes: str = ""
    issues: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        return self.id == other.id if isinstance(other, SessionInfo) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.id)

    def __lt__(self, other: SessionInfo) -> bool:
        return (self.date, self.subject, self.idx) < (other.date, other.subject, other.idx)

    @property
    def subject(self) -> SubjectRecord:
        """The subject."""
        return self.id.subject

    @property
    def date(self) -> DateRecord:
        """The day."""
        return self.id.date

    @property
    def idx(self) -> int:
        """Which of the day's recordings: 0 is the main one."""
        return self.id.idx

    def _told(self, name: str, default: bool) -> bool:
        return bool(self.session_kwargs.get(name, default))

    @property
    def is_templeton(self) -> bool:
        """Whether it is of the pilot study without context blocks."""
        return self._told("is_templeton", self.project == _TEMPLETON)

    @property
    def is_task(self) -> bool:
        """Whether the task ran; True unless the registry says otherwise."""
        return self._told("is_task", True)

    @property
    def is_video(self) -> bool:
        """Whether cameras recorded; where there is sync, unless the registry says otherwise."""
        return self._told("is_video", self.is_sync)

    @property
    def is_production(self) -> bool:
        """Whether it is meant to be used; True unless the registry says otherwise."""
        return self._told("is_production", True)

    @property
    def is_context_naive(self) -> bool:
        """Whether the subject had not learned the context blocks; of Templeton sessions, always."""
        return self._told("is_context_naive", self.is_templeton)

    @property
    def is_naive(self) -> bool:
        """Whether the subject saw the task for the first time."""
        return self._told("is_naive", False)

    @property
    def is_deep_insertion(self) -> bool:
        """Whether the probes went deeper than usual."""
        return self._told("is_deep_insertion", False)

    @property
    def is_injection_perturbation(self) -> bool:
        """Whether a drug (muscimol) was injected."""
        return self._told("is_injection_perturbation", False)

    @property
    def is_injection_control(self) -> bool:
        """Whether a control for such an injection was given."""
        return self._told("is_injection_control", False)

    @property
    def is_opto_perturbation(self) -> bool:
        """Whether the registry says that the task was perturbed with light; the task's file knows better."""
        return self._told("is_opto_perturbation", False)

    @property
    def has_issues(self) -> bool:
        """Whether the registry names issues."""
        return bool(self.issues)


class Registry:
    """The sessions of a project, newest first.

    Parameters
    ----------
    sessions : iterable of SessionInfo
        One for each session.

    Examples
    --------
    >>> info = SessionInfo(SessionRecord("668755_2023-08-31"), ProjectRecord("DynamicRouting"), True, True)
    >>> registry = Registry([info])
    >>> registry["DRpilot_668755_20230831"].is_ephys, len(registry.where(is_ephys=False))
    (True, 0)
    """

    def __init__(self, sessions: Iterator[SessionInfo] | list[SessionInfo]) -> None:
        self._sessions = {info.id.id: info for info in sorted(sessions, reverse=True)}

    def __iter__(self) -> Iterator[SessionInfo]:
        return iter(self._sessions.values())

    def __len__(self) -> int:
        return len(self._sessions)

    def __contains__(self, session: object) -> bool:
        try:
            return SessionRecord(str(session)).id in self._sessions
        except ValueError:
            return False

    def __getitem__(self, session: str) -> SessionInfo:
        """Return what is known of a session.

        Raises
        ------
        UnknownObjectError
            It is not tracked, or that is no session. (It is a KeyError.)
        """
        try:
            record = SessionRecord(str(session))
        except ValueError as error:
            raise UnknownObjectError(str(error)) from error
        if record.id not in self._sessions:
            raise UnknownObjectError(f"Session {record} is not in this registry of {len(self)} sessions.")
        return self._sessions[record.id]

    def where(self, **properties: object) -> list[SessionInfo]:
        """Return the sessions that have all of these properties, newest first.

        Parameters
        ----------
        **properties
            Any attribute of `SessionInfo` and the value that it is to have: ``is_ephys=True, subject=668755``.

        Raises
        ------
        UnknownObjectError
            Nothing is known by such a name.
        """
        unknown = [name for name in properties if name.startswith("_") or not hasattr(SessionInfo, name)]
        if unknown:
            known = sorted(name for name in dir(SessionInfo) if not name.startswith("_"))
            raise UnknownObjectError(
                f"Sessions have no property {', '.join(map(repr, unknown))}; they have {', '.join(known)}."
            )
        return [
            info for info in self if all(getattr(info, name) == value for name, value in properties.items())
        ]


def read_registry(path: str | AnyPath) -> Registry:
    """Return the registry of a file such as ``tracked_sessions.yaml``.

    Parameters
    ----------
    path : str or Path or RemotePath
        ``{ephys | behavior_with_sync | behavior: {project: [path, or {path: {day, idx, session_kwargs, …}}]}}``

    Raises
    ------
    MissingObjectError
        There is no such file.
    ManifestError
        It is no such registry: the message says where.
    """
    import yaml

    path = place(path)
    # the parser in C, where PyYAML was built with it, is ten times as fast
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        tracked = yaml.load(read_text(path), Loader=loader)  # noqa: S506 - a safe loader, both of them
    except (yaml.YAMLError, RecursionError) as error:
        raise ManifestError(f"{path} is not YAML: {error}") from error
    sessions: dict[SessionRecord, SessionInfo] = {}
    for kind, project, entry, said in _entries(path, tracked):
        info = _info(path, kind, project, entry, said)
        sessions[info.id] = _joined(sessions[info.id], info) if info.id in sessions else info
    return Registry(list(sessions.values()))


def _entries(path: AnyPath, tracked: Any) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Yield kind, project, path and what else is said of each session."""
    if not isinstance(tracked, dict):
        raise ManifestError(f"{path} is no registry: it should have {', '.join(_KINDS)} at its top.")
    for kind, projects in tracked.items():
        if kind not in _KINDS:
            raise ManifestError(f"{path}: {kind!r} is no kind of session: {', '.join(_KINDS)} are.")
        if not isinstance(projects or {}, dict):
            raise ManifestError(f"{path}: {kind} should name projects.")
        for project, entries in (projects or {}).items():
            if not isinstance(entries or [], list):
                raise ManifestError(f"{path}: {kind}/{project} should be a list of sessions.")
            for entry in entries or []:
                items = {entry: None} if isinstance(entry, str) else entry
                if not isinstance(items, dict):
                    raise ManifestError(f"{path}: {kind}/{project} lists {entry!r}, which is no path.")
                for where, said in items.items():
                    if not isinstance(said or {}, dict):
                        raise ManifestError(f"{path}: what is said of {where} should be names and values.")
                    yield str(kind), str(project), str(where), dict(said or {})


def _info(path: AnyPath, kind: str, project: str, where: str, said: dict[str, Any]) -> SessionInfo:
    given = said.get("session_kwargs") or {}
    if not isinstance(given, dict):
        raise ManifestError(f"{path}: session_kwargs of {where} should be names and values.")
    # some are written one level too high
    given = {**{str(name): value for name, value in said.items() if name not in _KNOWN}, **given}
    try:
        session = SessionRecord(where)
        if said.get("idx") is not None:
            session = session.with_idx(int(said["idx"]))
        day = next((int(said[name]) for name in _DAYS if said.get(name) is not None), None)
    except (ValueError, TypeError) as error:
        raise ManifestError(f"{path}: {where} is no session ({error}).") from error
    issues = said.get("issues") or ()
    told = {name: bool(given.get(name, value)) for name, value in _KINDS[kind].items()}
    return SessionInfo(
        id=session,
        project=ProjectRecord(project or project_of(session.subject)),
        allen_path=where,
        experiment_day=day,
        session_kwargs=given,
        notes=str(said.get("notes") or ""),
        issues=(issues,) if isinstance(issues, str) else tuple(str(issue) for issue in issues),
        **told,
    )


def _joined(first: SessionInfo, again: SessionInfo) -> SessionInfo:
    """Return what two entries of one session say: real registries repeat entries, mostly saying less."""
    day = first.experiment_day if first.experiment_day is not None else again.experiment_day
    return replace(
        first,
        is_ephys=first.is_ephys or again.is_ephys,
        is_sync=first.is_sync or again.is_sync,
        experiment_day=day,
        session_kwargs={**again.session_kwargs, **first.session_kwargs},
        notes=first.notes or again.notes,
        issues=tuple(dict.fromkeys((*first.issues, *again.issues))),
    )


def project_of(subject: int) -> ProjectRecord:
    """Return the project that a subject's sessions are of, where no registry says it."""
    return ProjectRecord(_TEMPLETON if subject in TEMPLETON_SUBJECTS else _DEFAULT_PROJECT)
