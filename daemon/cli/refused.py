"""``dispatchd events --refused``: requests that never became events, as far as the running daemon
remembers them."""

from __future__ import annotations

from daemon.cli.answers import REFUSED
from daemon.cli.layout import Listing
from daemon.cli.showing import Answer, print_answer
from daemon.cli.tables import moment, plain
from daemon.cli.target import Target, ask


def show_refused(target: Target, limit: int, *, as_json: bool) -> None:
    """Raises NoDaemon: nothing of it is in the database."""
    query = {"limit": str(limit)}
    answer = ask(target, lambda daemon: daemon.get("/api/v1/refused", REFUSED, query))
    print_answer(answer, as_json, _rows)


def _rows(answer: Answer) -> Listing:
    rows = Listing(("last", "times", "status", "from", "request", "why"))
    for each in answer["refused"]:
        rows.add(
            moment(each["last"]),
            str(each["count"]),
            str(each["status"]),
            plain(each["client_ip"]),
            plain(f"{each['method']} {each['path']}".strip()),
            plain(each["reason"]),
        )
    return rows
