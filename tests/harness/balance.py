"""The comparison that the delivery promise is held to: each acknowledged delivery against the
stand-in's own log of what it received."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from daemon.simulator import ReceivedDispatch


@dataclass(frozen=True, slots=True)
class Balance:
    """Deliveries by name. ``lost`` were acknowledged and never received; ``doubled`` were received
    more than once; ``unasked`` were received though no such delivery was ever sent."""

    lost: tuple[str, ...]
    doubled: tuple[str, ...]
    unasked: tuple[str, ...]

    @classmethod
    def of(
        cls,
        *,
        sent: Collection[str],
        acknowledged: Collection[str],
        received: Iterable[ReceivedDispatch],
    ) -> Balance:
        """``received`` bear the name of their delivery in the payload, as the entry ``PUSH``
        writes it."""
        times = Counter(delivery_of(dispatch) for dispatch in received)
        return cls(
            lost=tuple(name for name in acknowledged if not times[name]),
            doubled=tuple(name for name, count in times.items() if count > 1),
            unasked=tuple(name for name in times if name not in sent),
        )

    @property
    def even(self) -> bool:
        return self == Balance((), (), ())


def delivery_of(dispatch: ReceivedDispatch) -> str:
    """The delivery that led to this dispatch."""
    return str(dispatch.client_payload.get("delivery", "none"))


def dispatch_id_of(dispatch: ReceivedDispatch) -> str:
    """The id under which the daemon knows it, from the metadata that it put into the payload."""
    metadata = dispatch.client_payload.get("dispatchd")
    return str(metadata["id"]) if isinstance(metadata, dict) else ""
