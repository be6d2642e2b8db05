"""Deliveries as GitHub sends them: the fields of its documented ``push`` and ``pull_request``
events, in the sizes that real ones have.

What differs from copy to copy comes last in them, other than with GitHub, so that little has to be
hashed anew for each copy's signature.

Source: GitHub, "Webhook events and payloads" and "Validating webhook deliveries".
"""

from __future__ import annotations

import json

from bench.payload_objects import (
    API,
    AT,
    SITE,
    Object,
    author,
    branch,
    label,
    organization,
    repository,
    sha,
    user,
)
from bench.request import MARK, SIGNATURE


def push(size: int) -> bytes:
    """A push of one commit, with a message that makes the body about ``size`` bytes long."""
    bare = len(_push(""))
    return _push(prose((size - bare) // 2))  # the head commit is told twice


def pull_request(size: int) -> bytes:
    """A label put on a pull request, with a description that makes the body ``size`` bytes long."""
    bare = len(_pull_request(""))
    return _pull_request(prose(size - bare))


def call() -> bytes:
    """What a caller of ``POST /dispatch`` sends."""
    payload = {"job_id": "nightly-4711", "job_description": "Build the shop and run its tests"}
    return compact({"event_type": "wat-factory", "client_payload": payload})


def github_headers(event: str) -> dict[str, str]:
    """The headers of a delivery."""
    return {
        "Accept": "*/*",
        "Content-Type": "application/json",
        "User-Agent": "GitHub-Hookshot/044aadd",
        "X-GitHub-Delivery": MARK,
        "X-GitHub-Event": event,
        "X-GitHub-Hook-ID": "292430182",
        "X-GitHub-Hook-Installation-Target-ID": "79929171",
        "X-GitHub-Hook-Installation-Target-Type": "repository",
        "X-Hub-Signature-256": f"sha256={SIGNATURE}",
    }


def _push(message: str) -> bytes:
    commit = {
        "id": sha("head"),
        "tree_id": sha("tree"),
        "distinct": True,
        "message": message,
        "timestamp": AT,
        "url": f"{SITE}/acme/shop/commit/{sha('head')}",
        "author": author(),
        "committer": author(),
        "added": ["src/basket/keeper.py"],
        "removed": [],
        "modified": ["src/basket/__init__.py", "docs/basket.md"],
    }
    payload = {
        "ref": "refs/heads/main",
        "before": sha("before"),
        "repository": repository("shop"),
        "pusher": {"name": "mona", "email": "mona@acme.example"},
        "organization": organization(),
        "sender": user("mona", 1001),
        "created": False,
        "deleted": False,
        "forced": False,
        "base_ref": None,
        "compare": f"{SITE}/acme/shop/compare/{sha('before')[:12]}...{sha('head')[:12]}",
        "commits": [commit],
        "head_commit": commit,
        "after": f"{sha('head')[:4]}{MARK}",
    }
    return compact(payload)


def _pull_request(description: str) -> bytes:
    number = 4711
    own = f"{API}/repos/acme/shop/pulls/{number}"
    issue = f"{API}/repos/acme/shop/issues/{number}"
    links = {
        "self": own,
        "html": f"{SITE}/acme/shop/pull/{number}",
        "issue": issue,
        "comments": f"{issue}/comments",
        "review_comments": f"{own}/comments",
        "review_comment": f"{API}/repos/acme/shop/pulls/comments{{/number}}",
        "commits": f"{own}/commits",
        "statuses": f"{API}/repos/acme/shop/statuses/{sha('head')}",
    }
    labels = [label("bug", 1), label("deploy", 2), label("needs review", 3)]
    request: Object = {
        "url": own,
        "id": 991_000_001,
        "node_id": "PR_kwDOABCD1234567890",
        "html_url": links["html"],
        "diff_url": f"{links['html']}.diff",
        "patch_url": f"{links['html']}.patch",
        "issue_url": issue,
        "number": number,
        "state": "open",
        "locked": False,
        "title": "Keep the basket when the session ends",
        "user": user("mona", 1001),
        "body": description,
        "created_at": AT,
        "updated_at": AT,
        "closed_at": None,
        "merged_at": None,
        "assignee": user("hubot", 1002),
        "assignees": [user("hubot", 1002)],
        "requested_reviewers": [user("lisa", 1003)],
        "requested_teams": [],
        "labels": labels,
        "milestone": None,
        "draft": False,
        "commits_url": links["commits"],
        "review_comments_url": links["review_comments"],
        "review_comment_url": links["review_comment"],
        "comments_url": links["comments"],
        "statuses_url": links["statuses"],
        "head": branch("basket-keeper"),
        "base": branch("main"),
        "_links": {name: {"href": url} for name, url in links.items()},
        "author_association": "MEMBER",
        "auto_merge": None,
        "active_lock_reason": None,
        "merged": False,
        "mergeable": True,
        "rebaseable": True,
        "mergeable_state": "clean",
        "merged_by": None,
        "comments": 3,
        "review_comments": 7,
        "maintainer_can_modify": False,
        "commits": 4,
        "additions": 181,
        "deletions": 37,
        "changed_files": 9,
        "merge_commit_sha": f"{sha('merge')[:4]}{MARK}",
    }
    payload = {
        "action": "labeled",
        "number": number,
        "label": labels[1],
        "repository": repository("shop"),
        "organization": organization(),
        "sender": user("mona", 1001),
        "pull_request": request,
    }
    return compact(payload)


def prose(length: int) -> str:
    """Text of ``length`` ASCII characters, in words; nothing for a negative length."""
    sentence = "The basket is kept with the session and given back on the next visit. "
    return (sentence * (max(length, 0) // len(sentence) + 1))[: max(length, 0)]


def compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
