"""Decide whose plays go into an output, and tell whose entries of earlier runs are there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Final

import msgspec

from ..errors import ConfigurationError, TautulliImportError
from ..formatting import many
from ..imports.job import Target
from ..items.leftovers import Leftovers
from ..items.outputs import Planned, place_of
from ..settings.fields import Settings
from ..sinks.base import Sink
from ..sources.base import User
from ..sources.choose import choose_users
from ..sources.database.source import Source
from ..state.outputs import OutputNotes, OutputStore, Place, Whose
from .console import Screen

__all__ = ["announce_leftovers", "ask_whose", "choose_whose"]

_TRIES: Final = 3


def ask_whose(
    settings: Settings,
    targets: Sequence[Target],
    store: OutputStore | None,
    screen: Screen,
    users: Callable[[], Sequence[User]],
) -> Settings:
    """Ask whose plays the outputs get before a history is fetched, which can take long.

    Return the settings with the answer; or as they are, if there is nothing to ask. ``users``
    requests the users of the server. If that fails, ``choose_whose`` asks after the fetch.

    Raises:
        ConfigurationError: the person gave no answer.
    """
    sinks = _sinks_of(targets)
    notes = _notes_of(sinks, store)
    if store is None or not _may_ask(settings, sinks, notes, store, screen):
        return settings
    people: Sequence[User] = ()
    with suppress(TautulliImportError):
        people = [user for user in users() if user.plays]
    if len(people) < 2:  # others may have been deleted
        return settings
    found = f"Tautulli lists {len(people)} users with plays (for a deleted one, use --user NAME)."
    choice = _ask(found, people, [*sinks.values()], screen, apart=settings.merge_with is None)
    _save(store, notes, choice)
    return _applied(settings, choice)


def choose_whose(
    settings: Settings,
    source: Source,
    targets: Sequence[Target],
    store: OutputStore | None,
    screen: Screen,
    *,
    replace: bool,
) -> tuple[Settings, str]:
    """Return the settings with the users that the outputs of items get.

    Without an option an earlier choice counts, and a sentence about it is returned, too. If there
    is none, ask before the first write on a terminal. Elsewhere warn whose plays become one
    history.

    Raises:
        ConfigurationError: the person gave no answer, or the outputs remember different ones.
    """
    sinks = _sinks_of(targets)
    if not sinks:
        return settings, ""
    notes = _notes_of(sinks, store)
    if settings.user or settings.each_user or settings.all_users:
        if store and (replace or settings.all_users):
            users, _ = choose_users(source.users(), settings.user) if settings.user else ((), ())
            if users or not settings.user:  # rows without a user id are no choice to remember
                _save(store, notes, Whose(tuple(sorted(users)), settings.each_user))
        is_kept = settings.each_user and not (replace and not settings.user)
        return settings, _of_one_history(sinks, store) if is_kept else ""
    choices = [*{one.whose: None for one in notes.values() if one.whose is not None}]
    if len(choices) > 1:
        raise ConfigurationError(
            f"{' and '.join(name for name, *_ in sinks)} remember different choices of users.",
            hint="Use --user NAME, --each-user or --all-users, or run once for each of them.",
        )
    if choices:
        return _applied(settings, choices[0]), _sentence(choices[0], source)
    people = [user for user in source.users() if user.plays and user.user_id is not None]
    ids = tuple(sorted(user.user_id for user in people if user.user_id is not None))
    if len(people) < 2:
        return settings, ""
    names = ", ".join(f"{user.name} ({user.plays:,})" for user in people)
    merging = (
        f"Merging the plays of {len(people)} users into one history: {names}. "
        "Choose with --user NAME or --each-user, or confirm with --all-users."
    )
    if settings.dry_run:
        screen.note(merging)
        return settings, ""
    if store and _may_ask(settings, sinks, notes, store, screen):
        found = f"The history has plays of {len(people)} users."
        choice = _ask(found, people, [*sinks.values()], screen, apart=settings.merge_with is None)
        _save(store, notes, choice)
        return _applied(settings, choice), ""
    if not all(one.told == ids for one in notes.values()):
        screen.warn(merging)
        if store:
            for place, one in notes.items():
                store.save_notes(place, msgspec.structs.replace(one, told=ids))
    return settings, ""


def _sinks_of(targets: Sequence[Target]) -> Mapping[Place, Sink]:
    return {place_of(one.name, one.sink): one.sink for one in targets if isinstance(one.sink, Sink)}


def _notes_of(places: Iterable[Place], store: OutputStore | None) -> Mapping[Place, OutputNotes]:
    return {place: (store and store.notes(place)) or OutputNotes() for place in places}


def _may_ask(
    settings: Settings,
    sinks: Mapping[Place, Sink],
    notes: Mapping[Place, OutputNotes],
    store: OutputStore,
    screen: Screen,
) -> bool:
    """Return true if nobody has chosen for these outputs, they are new, and a person is there."""
    if settings.user or settings.each_user or settings.all_users or settings.dry_run or not sinks:
        return False
    is_first = not any(
        one.whose or one.selections or store.entries(place) for place, one in notes.items()
    )
    return is_first and screen.can_ask and not any(sink.is_piped for sink in sinks.values())


def _of_one_history(sinks: Mapping[Place, Sink], store: OutputStore | None) -> str:
    """Return a sentence about what runs without ``--each-user`` wrote; empty for nothing."""
    found = {
        sink.where: len(store.entries(place))
        for place, sink in sinks.items()
        if store and sink.supersedes and not sink.only_adds and sink.exists()
    }
    counted = [f"{place} ({_entries(count)})" for place, count in found.items() if count]
    if not counted:
        return ""
    return (
        f"Earlier runs without --each-user wrote {' and '.join(counted)}, which stays. To remove "
        "these entries, use --each-user --replace without --user."
    )


def _sentence(choice: Whose, source: Source) -> str:
    names = {user.user_id: user.name for user in source.users()}
    chosen = ", ".join(names.get(one) or str(one) for one in choice.users)
    if not chosen:
        return ""
    return (
        f"Only the plays of {chosen}, as chosen in an earlier run. Use --all-users for everybody's."
    )


def _applied(settings: Settings, choice: Whose) -> Settings:
    users = [str(one) for one in choice.users]
    is_all = not users and not choice.each_user
    update = {"user": users, "each_user": choice.each_user, "all_users": is_all}
    return settings.model_copy(update=update)


def _save(store: OutputStore, notes: Mapping[Place, OutputNotes], choice: Whose) -> None:
    for place, one in notes.items():
        store.save_notes(place, msgspec.structs.replace(one, whose=choice))


def _ask(
    found: str, people: Sequence[User], sinks: Sequence[Sink], screen: Screen, *, apart: bool
) -> Whose:
    """Ask a person whose plays the outputs get. ``found`` says how many users there are.

    Raises:
        ConfigurationError: there was no usable answer.
    """
    where = ", ".join(sink.where for sink in sinks if sink.where)
    rows = [("a", "all together, as one history", "--all-users")]
    rows += [("e", "one output for each user", "--each-user")] if apart else []
    answers = {"a": Whose(), "e": Whose(each_user=True)} if apart else {"a": Whose()}
    for number, user in enumerate(people, 1):
        option = f"--user {user.user_id}"
        rows.append((str(number), f"only {user.name} ({many(user.plays, 'play')})", option))
        answers[str(number)] = Whose((user.user_id or 0,))
    screen.note(f"{found} Whose go into {where}?")
    screen.choices(rows)
    options = {row[0]: row[2] for row in rows}
    for _ in range(_TRIES):
        answer = screen.ask(f"{', '.join([*answers][: -len(people)])} or a number: ")
        if answer is None:
            break
        if (choice := answers.get(answer.strip().lower())) is not None:
            option = options[answer.strip().lower()]
            screen.note(f"This output remembers the choice. The option for it is {option}.")
            return choice
    raise ConfigurationError(
        f"Nobody chose whose plays go into {where}.",
        hint="Use --all-users, --each-user or --user NAME. Nothing was written.",
    )


def announce_leftovers(planned: Sequence[Planned], screen: Screen, *, dry_run: bool) -> None:
    """Tell whose entries of earlier runs are in the outputs, before anything is written."""
    for one in planned:
        found = one.leftovers
        place = one.sink.where
        count = len(found.times)
        whose = ", ".join(
            f"{name} ({number:,})"
            for name, number in sorted(found.whose.items(), key=lambda pair: (-pair[1], pair[0]))
        )
        has = f"{place} has {_entries(count)} of earlier runs that this selection does not include"
        if not one.wish.replace:
            if count and one.is_new_selection:
                stay = "would stay" if dry_run else "stay"
                screen.warn(
                    f"{has}: {whose}. They {stay} there. To {_taken_back(found)}, add --replace."
                )
            continue
        if count:
            verb = "would" if dry_run else "will"
            screen.note(f"{has}: {whose}. This run {verb} {_taken_back(found)}.")
        if found.unknown:
            screen.note(
                f"{_entries(found.unknown)} of earlier runs in {place} stay, because their plays "
                "are no longer in the history. Remove them in CrossWatch if they are not wanted."
            )
        if found.unrecorded and not one.sink.only_adds:  # a server has entries of its own
            screen.note(
                f"{_entries(found.unrecorded)} in {place} stay, because nothing tells whether an "
                "earlier run wrote them."
            )


def _taken_back(found: Leftovers) -> str:
    """Return what ``--replace`` does with entries, such as "remove 12 and update 1"."""
    removed = len(found.times) - found.updated
    updating = f"update {found.updated:,} that this selection has at another time"
    if not found.updated:
        return "remove it" if removed == 1 else "remove them"
    return f"remove {removed:,}, and {updating}" if removed else updating


def _entries(count: int) -> str:
    return "1 entry" if count == 1 else f"{count:,} entries"
