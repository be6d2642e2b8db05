"""The ways to GitHub of all credentials, and how they go on where the credentials change. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from daemon.lane import Lane
from daemon.pacing import Budget, Spent
from daemon.spec import Pace, Settings

NOBODY = ""
"""The lane of what no credential is for: there is no request then."""


def lanes_of(settings: Settings, spent: Mapping[str, Spent]) -> dict[str, Lane]:
    """A lane for each credential, by its name, which goes on from what was ``spent``; and one
    without limits for `NOBODY`."""
    lanes = {NOBODY: Lane(NOBODY, Budget(0, 0, 0))}
    for credential in settings.all_credentials:
        lanes[credential.name] = Lane(credential.name, _budget(credential.pace))
        if credential.name in spent:
            lanes[credential.name].budget.resume(spent[credential.name])
    return lanes


def adopt_lanes(lanes: dict[str, Lane], before: Settings, after: Settings) -> None:
    """Has ``lanes`` follow the credentials from ``before`` to ``after``. One that stays goes on
    from what it has spent; it is tried at once where GitHub did not take what it was."""
    had = {credential.name: credential for credential in before.all_credentials}
    wanted = lanes_of(after, {})
    for name in [name for name in lanes if name not in wanted]:
        del lanes[name]
    for credential in after.all_credentials:
        lane = lanes.setdefault(credential.name, wanted[credential.name])
        old = had.get(credential.name)
        if old is None:
            continue
        if old.pace != credential.pace:
            budget = _budget(credential.pace)
            budget.resume(lane.budget.spent)
            budget.told, lane.budget = lane.budget.told, budget
        if old.key != credential.key:
            lane.taken()


def _budget(pace: Pace) -> Budget:
    return Budget(pace.writes_per_second, pace.burst, pace.writes_per_hour)
