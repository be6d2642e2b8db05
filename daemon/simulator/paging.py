"""Lists in pages, with the Link header that says where the others are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from aiohttp import web

Item = TypeVar("Item")
SIZE = 30
SIZE_MAX = 100


@dataclass(frozen=True, slots=True)
class Page:
    """The page of a list that a request asks for, counted from 1."""

    number: int
    size: int

    @classmethod
    def asked(cls, request: web.Request) -> Page:
        size = min(at_least_one(request.query.get("per_page"), SIZE), SIZE_MAX)
        return cls(at_least_one(request.query.get("page"), 1), size)

    def of(self, items: Sequence[Item]) -> Sequence[Item]:
        start = (self.number - 1) * self.size
        return items[start : start + self.size]

    def links(self, request: web.Request, total: int) -> dict[str, str]:
        """The header, which is left out where all is on one page."""
        last = max(-(-total // self.size), 1)
        pages: dict[str, int] = {}
        if self.number > 1:
            pages["prev"] = min(self.number - 1, last)
        if self.number < last:
            pages |= {"next": self.number + 1, "last": last}
        if self.number > 1:
            pages["first"] = 1
        url = request.url
        links = (f'<{url.update_query(page=str(n))}>; rel="{rel}"' for rel, n in pages.items())
        return {"Link": ", ".join(links)} if pages else {}


def at_least_one(text: str | None, default: int) -> int:
    """A page number or size; what is no number counts as absent, as on GitHub."""
    if text is None or not re.fullmatch("[0-9]{1,9}", text):
        return default
    return max(int(text), 1)
