"""``/api/v1/triggers/…``: lets a trigger take the secret that its sender hands over, and shows it
to who must paste it at the vendor."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from aiohttp import web

from daemon.errors import Refused
from daemon.expressions import rfc3339
from daemon.learning import Learning
from daemon.spec import TriggerSpec
from daemon.web import json_response


class Arming:
    """Answers calls whose key has been checked. Raises Refused with what is wrong with the call:
    404 for a trigger that there is not, 409 for one that takes no secret from its sender."""

    def __init__(
        self,
        triggers: Iterable[TriggerSpec],
        learning: Learning,
        clock: Callable[[], datetime],
    ) -> None:
        self._triggers = {trigger.name: trigger for trigger in triggers}
        self._learning = learning
        self._clock = clock

    async def arm(self, request: web.Request) -> web.Response:
        """POST …/arm, with ``?forget=true`` in place of the secret that there is."""
        trigger = self._trigger(request)
        forget = request.query.get("forget", "false")
        if forget not in ("true", "false"):
            raise Refused(400, f"forget={forget!r:.20} is neither true nor false")
        name = trigger.name
        if forget == "false" and self._learning.of(name).secret is not None:
            raise Refused(
                409,
                f"{name} has a secret already; `dispatchd arm {name} --forget` deletes it first",
            )
        known = await self._learning.arm(name, self._clock(), forget=forget == "true")
        until = known.armed_until
        return json_response(
            200, {"trigger": name, "path": trigger.path, "armed_until": until and rfc3339(until)}
        )

    async def secret(self, request: web.Request) -> web.Response:
        """GET …/secret: for who may read the database as well, so over the Unix socket only."""
        trigger = self._trigger(request)
        secret = self._learning.of(trigger.name).secret
        if secret is None:
            raise Refused(404, f"{trigger.name} was handed no secret yet")
        return json_response(200, {"trigger": trigger.name, "secret": secret})

    def _trigger(self, request: web.Request) -> TriggerSpec:
        name = request.match_info["name"]
        trigger = self._triggers.get(name)
        if trigger is None:
            raise Refused(404, f"there is no trigger {name!r:.100}")
        if not trigger.enabled:
            raise Refused(409, f"{name} is disabled: set `enabled` to true")
        if not trigger.auth.scheme.learns_secret:
            raise Refused(
                409,
                f"senders of the scheme {trigger.auth.scheme.name} hand no secret over: "
                f"{name} has it from its `secret` in the config",
            )
        if trigger.auth.secrets:
            raise Refused(
                409, f"the config gives {name} its `secret`: take it out to have it handed over"
            )
        return trigger
