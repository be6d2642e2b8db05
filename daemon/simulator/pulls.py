"""Pull requests of the stand-in: opened and merged as on GitHub, and told to the hooks, so that
what follows a merged job can be tried."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha1

from aiohttp import web

from daemon.simulator import shapes
from daemon.simulator.hooks import Hooks
from daemon.simulator.lookups import here
from daemon.simulator.paging import Page
from daemon.simulator.repositories import Repository
from daemon.simulator.routing import named, of_repository, writable
from daemon.simulator.runs import timestamp
from daemon.simulator.validation import DOCS, Rejection, read_object
from daemon.simulator.world import World

EVENT = "pull_request"
CREATE_DOCS = f"{DOCS}/pulls/pulls#create-a-pull-request"
_PULL = r"/pulls/{pull:\d{1,9}}"
_MERGE_METHODS = ("merge", "squash", "rebase")


@dataclass(frozen=True, slots=True)
class PullRequest:
    """One pull request within a repository; the hashes of its branches are as they were when it was
    opened, and ``merge_commit`` is empty until it is merged."""

    number: int
    title: str
    body: str
    head: str
    base: str
    head_sha: str
    base_sha: str
    created_at: datetime
    merged_at: datetime | None = None
    merge_commit: str = ""

    @property
    def state(self) -> str:
        return "open" if self.merged_at is None else "closed"


class Pulls:
    """Opens and merges them in ``world`` as of ``clock()``, and tells the ``hooks``."""

    def __init__(self, world: World, hooks: Hooks, clock: Callable[[], datetime]) -> None:
        self._world = world
        self._hooks = hooks
        self._clock = clock
        self._pulls: dict[int, list[PullRequest]] = {}

    def routes(self) -> list[web.RouteDef]:
        return [
            *of_repository("POST", "/pulls", self._create),
            *of_repository("GET", "/pulls", self._list),
            *of_repository("GET", _PULL, self._get),
            *of_repository("PUT", _PULL + "/merge", self._merge),
        ]

    def _of(self, repository: Repository) -> list[PullRequest]:
        """Oldest first."""
        return self._pulls.setdefault(repository.number, [])

    async def _create(self, request: web.Request) -> web.StreamResponse:
        repository = writable(request, self._world)
        document = read_object(await request.read(), CREATE_DOCS)
        now, pulls = self._clock(), self._of(repository)
        title, head, base = (document.get(key) for key in ("title", "head", "base"))
        branches = self._world.branches(repository, now)
        if not isinstance(title, str) or not title.strip():
            raise _invalid("title", "missing_field")
        # Between forks a head is written `owner:branch`.
        own = f"{repository.owner.lower()}:"
        if isinstance(head, str) and head.lower().startswith(own):
            head = head[len(own) :]
        if not isinstance(head, str) or head not in branches or head == base:
            raise _invalid("head", "invalid")
        if not isinstance(base, str) or base not in branches:
            raise _invalid("base", "invalid")
        if any((each.state, each.head, each.base) == ("open", head, base) for each in pulls):
            there = f"A pull request already exists for {repository.owner}:{head}."
            raise _refused({"code": "custom", "message": there})
        pull = PullRequest(
            number=len(pulls) + 1,
            title=title,
            body=str(document.get("body") or ""),
            head=head,
            base=base,
            head_sha=repository.commit(head),
            base_sha=repository.commit(base),
            created_at=now,
        )
        pulls.append(pull)
        self._tell(request, repository, pull, "opened")
        return web.json_response(in_full(pull, repository, here(request)), status=201)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        repository = named(request, self._world)
        page, query = Page.asked(request), request.query
        state, head, base = query.get("state", "open"), query.get("head"), query.get("base")
        found = [
            each
            for each in reversed(self._of(repository))
            if state in (each.state, "all")
            and head in (None, f"{repository.owner}:{each.head}")
            and base in (None, each.base)
        ]
        shown = [in_short(each, repository, here(request)) for each in page.of(found)]
        return web.json_response(shown, headers=page.links(request, len(found)))

    async def _get(self, request: web.Request) -> web.StreamResponse:
        repository, pull = self._named(request)
        return web.json_response(in_full(pull, repository, here(request)))

    async def _merge(self, request: web.Request) -> web.StreamResponse:
        repository = writable(request, self._world)
        raw = await request.read()
        document = read_object(raw) if raw else {}
        _, pull = self._named(request)
        if pull.state != "open":
            raise Rejection(405, "Pull Request is not mergeable")
        if document.get("merge_method", "merge") not in _MERGE_METHODS:
            raise Rejection(422, "Invalid request.")
        if document.get("sha", pull.head_sha) != pull.head_sha:
            raise Rejection(409, "Head branch was modified. Review and try the merge again.")
        content = f"{repository.number}#{pull.number} {pull.head_sha}".encode()
        commit = sha1(content, usedforsecurity=False).hexdigest()
        merged = replace(pull, merged_at=self._clock(), merge_commit=commit)
        self._of(repository)[pull.number - 1] = merged
        self._tell(request, repository, merged, "closed")
        answer = {"sha": commit, "merged": True, "message": "Pull Request successfully merged"}
        return web.json_response(answer)

    def _named(self, request: web.Request) -> tuple[Repository, PullRequest]:
        repository, wanted = named(request, self._world), int(request.match_info["pull"])
        pulls = self._of(repository)
        if not 1 <= wanted <= len(pulls):
            raise Rejection(404, "Not Found")
        return repository, pulls[wanted - 1]

    def _tell(
        self, request: web.Request, repository: Repository, pull: PullRequest, action: str
    ) -> None:
        payload = {
            "action": action,
            "number": pull.number,
            "pull_request": in_full(pull, repository, here(request)),
            "repository": shapes.repository_in_full(repository, here(request)),
            "sender": shapes.user(shapes.USER, here(request)),
        }
        self._hooks.publish(repository, EVENT, payload)


def in_short(pull: PullRequest, repository: Repository, here: str) -> shapes.JSONObject:
    """A pull request as it stands in lists."""
    place = f"{here}/repos/{repository.full_name}"
    url, issue = f"{place}/pulls/{pull.number}", f"{place}/issues/{pull.number}"
    html_url = f"{here}/{repository.full_name}/pull/{pull.number}"
    merged_at = None if pull.merged_at is None else timestamp(pull.merged_at)
    links = {
        "self": url,
        "html": html_url,
        "issue": issue,
        "comments": f"{issue}/comments",
        "review_comments": f"{url}/comments",
        "review_comment": f"{place}/pulls/comments{{/number}}",
        "commits": f"{url}/commits",
        "statuses": f"{place}/statuses/{pull.head_sha}",
    }
    return {
        "id": repository.number * 10_000 + pull.number,
        "node_id": f"PR_{repository.number}_{pull.number}",
        "number": pull.number,
        "state": pull.state,
        "locked": False,
        "title": pull.title,
        "body": pull.body or None,
        "user": shapes.user(shapes.USER, here),
        "labels": [],
        "milestone": None,
        "assignee": None,
        "author_association": "MEMBER",
        "auto_merge": None,
        "draft": False,
        "created_at": timestamp(pull.created_at),
        "updated_at": merged_at or timestamp(pull.created_at),
        "closed_at": merged_at,
        "merged_at": merged_at,
        "merge_commit_sha": pull.merge_commit or None,
        "head": _side(pull.head, pull.head_sha, repository, here),
        "base": _side(pull.base, pull.base_sha, repository, here),
        "url": url,
        "html_url": html_url,
        "diff_url": f"{html_url}.diff",
        "patch_url": f"{html_url}.patch",
        "issue_url": issue,
        **{f"{key}_url": links[key] for key in ("comments", "review_comments", "review_comment")},
        "commits_url": links["commits"],
        "statuses_url": links["statuses"],
        "_links": {key: {"href": href} for key, href in links.items()},
    }


def in_full(pull: PullRequest, repository: Repository, here: str) -> shapes.JSONObject:
    merged = pull.merged_at is not None
    return {
        **in_short(pull, repository, here),
        **dict.fromkeys(("comments", "review_comments", "deletions"), 0),
        **dict.fromkeys(("commits", "additions", "changed_files"), 1),
        "merged": merged,
        "merged_by": shapes.user(shapes.USER, here) if merged else None,
        "mergeable": None if merged else True,
        "mergeable_state": "unknown" if merged else "clean",
        "rebaseable": None if merged else True,
        "maintainer_can_modify": False,
    }


def _side(branch: str, sha: str, repository: Repository, here: str) -> shapes.JSONObject:
    return {
        "label": f"{repository.owner}:{branch}",
        "ref": branch,
        "sha": sha,
        "user": shapes.user(repository.owner, here),
        "repo": shapes.repository_in_full(repository, here),
    }


def _invalid(field: str, code: str) -> Rejection:
    return _refused({"field": field, "code": code})


def _refused(error: dict[str, str]) -> Rejection:
    return Rejection(
        422, "Validation Failed", CREATE_DOCS, errors=({"resource": "PullRequest", **error},)
    )
