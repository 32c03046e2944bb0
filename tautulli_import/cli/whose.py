"""Decide whose plays go into an output, and tell whose entries of earlier runs are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from ..errors import ConfigurationError
from ..formatting import many
from ..imports.job import Target
from ..items.outputs import Planned, place_of
from ..settings.fields import Settings
from ..sinks.base import Sink
from ..sources.base import User
from ..sources.choose import choose_users
from ..sources.database.source import Source
from ..state.outputs import OutputNotes, OutputStore, Place, Whose
from .console import Screen

__all__ = ["announce_leftovers", "choose_whose"]

_TRIES: Final = 3


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
    sinks = {
        place_of(one.name, one.sink): one.sink for one in targets if isinstance(one.sink, Sink)
    }
    if not sinks:
        return settings, ""
    notes = {place: (store and store.notes(place)) or OutputNotes() for place in sinks}
    if settings.user or settings.each_user or settings.all_users:
        if store and (replace or settings.all_users):
            users, _ = choose_users(source.users(), settings.user) if settings.user else ((), ())
            if users or not settings.user:  # rows without a user id are no choice to remember
                _save(store, notes, Whose(tuple(sorted(users)), settings.each_user))
        return settings, ""
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
    is_first = store is not None and not any(
        one.selections or store.entries(place) for place, one in notes.items()
    )
    lasts = not any(sink.is_piped for sink in sinks.values())
    if store and is_first and lasts and screen.can_ask:
        apart = settings.merge_with is None
        choice = _ask(people, [*sinks.values()], screen, apart=apart)
        _save(store, notes, choice)
        return _applied(settings, choice), ""
    if not all(one.told == ids for one in notes.values()):
        screen.warn(merging)
        if store:
            for place, one in notes.items():
                store.save_notes(place, msgspec.structs.replace(one, told=ids))
    return settings, ""


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
    return settings.model_copy(update={"user": users, "each_user": choice.each_user})


def _save(store: OutputStore, notes: Mapping[Place, OutputNotes], choice: Whose) -> None:
    for place, one in notes.items():
        store.save_notes(place, msgspec.structs.replace(one, whose=choice))


def _ask(people: Sequence[User], sinks: Sequence[Sink], screen: Screen, *, apart: bool) -> Whose:
    """Ask a person whose plays the outputs get.

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
    screen.note(f"The history has plays of {len(people)} users. Whose go into {where}?")
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
        if not one.wish.replace:
            if count and one.is_new_selection:
                stay = "would stay" if dry_run else "stay"
                screen.warn(
                    f"{place} has {_entries(count)} from earlier runs that this selection does "
                    f"not include: {whose}. They {stay} there. To remove them, add --replace."
                )
            continue
        if count:
            verb = "Would remove" if dry_run else "Removing"
            screen.note(
                f"{verb} {_entries(count)} of earlier runs from {place}: {whose}. "
                "Titles that this selection has as well stay, with its own time."
            )
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


def _entries(count: int) -> str:
    return "1 entry" if count == 1 else f"{count:,} entries"
