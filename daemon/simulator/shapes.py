"""What the stand-in knows, in the shapes of GitHub's answers, with every field that its API
description requires."""

from __future__ import annotations

import base64
from datetime import datetime
from functools import lru_cache
from hashlib import sha1

from daemon.simulator.repositories import Repository
from daemon.simulator.runs import Run, timestamp
from daemon.simulator.workflows import Workflow
from daemon.workflow_file import DIRECTORY

JSONObject = dict[str, object]

USER = "dispatchd"
"""To whom the tokens belong."""

# What stands behind a repository's own address, by the key (without `_url`) that tells it.
_PLACES = {
    "archive": "/{archive_format}{/ref}",
    "assignees": "/assignees{/user}",
    "blobs": "/git/blobs{/sha}",
    "branches": "/branches{/branch}",
    "collaborators": "/collaborators{/collaborator}",
    "comments": "/comments{/number}",
    "commits": "/commits{/sha}",
    "compare": "/compare/{base}...{head}",
    "contents": "/contents/{+path}",
    "contributors": "/contributors",
    "deployments": "/deployments",
    "downloads": "/downloads",
    "events": "/events",
    "forks": "/forks",
    "git_commits": "/git/commits{/sha}",
    "git_refs": "/git/refs{/sha}",
    "git_tags": "/git/tags{/sha}",
    "hooks": "/hooks",
    "issue_comment": "/issues/comments{/number}",
    "issue_events": "/issues/events{/number}",
    "issues": "/issues{/number}",
    "keys": "/keys{/key_id}",
    "labels": "/labels{/name}",
    "languages": "/languages",
    "merges": "/merges",
    "milestones": "/milestones{/number}",
    "notifications": "/notifications{?since,all,participating}",
    "pulls": "/pulls{/number}",
    "releases": "/releases{/id}",
    "stargazers": "/stargazers",
    "statuses": "/statuses/{sha}",
    "subscribers": "/subscribers",
    "subscription": "/subscription",
    "tags": "/tags",
    "teams": "/teams",
    "trees": "/git/trees{/sha}",
}
_OF_A_USER = {
    "events": "/events{/privacy}",
    "followers": "/followers",
    "following": "/following{/other_user}",
    "gists": "/gists{/gist_id}",
    "organizations": "/orgs",
    "received_events": "/received_events",
    "repos": "/repos",
    "starred": "/starred{/owner}{/repo}",
    "subscriptions": "/subscriptions",
}


@lru_cache(256)  # a list of a hundred runs names them hundreds of times
def user(login: str, here: str) -> JSONObject:
    """An account; its number is made of its name. It is not to be changed."""
    url = f"{here}/users/{login}"
    number = int(sha1(login.lower().encode(), usedforsecurity=False).hexdigest()[:6], 16)
    return {
        "login": login,
        "id": number,
        "node_id": f"U_{number}",
        "avatar_url": f"{here}/avatars/{login}",
        "gravatar_id": "",
        "url": url,
        "html_url": f"{here}/{login}",
        **{f"{key}_url": url + place for key, place in _OF_A_USER.items()},
        "type": "User",
        "site_admin": False,
    }


def signed_in(here: str, now: datetime) -> JSONObject:
    """The account whose token asks."""
    counts = ("public_repos", "public_gists", "followers", "following")
    texts = ("name", "company", "blog", "location", "email", "hireable", "bio")
    return {
        **user(USER, here),
        **dict.fromkeys(texts),
        **dict.fromkeys(counts, 0),
        "user_view_type": "public",
        "created_at": "2020-01-01T00:00:00Z",
        "updated_at": timestamp(now),
    }


def repository_in_short(repository: Repository, here: str) -> JSONObject:
    """A repository as it stands within other answers. It is not to be changed."""
    return _in_short(repository.number, repository.full_name, here)


@lru_cache(256)
def _in_short(number: int, full_name: str, here: str) -> JSONObject:
    owner, _, name = full_name.partition("/")
    url = f"{here}/repos/{full_name}"
    return {
        "id": number,
        "node_id": f"R_{number}",
        "name": name,
        "full_name": full_name,
        "private": True,
        "owner": user(owner, here),
        "html_url": f"{here}/{full_name}",
        "description": None,
        "fork": False,
        "url": url,
        **{f"{key}_url": url + place for key, place in _PLACES.items()},
    }


def repository_in_full(repository: Repository, here: str) -> JSONObject:
    html_url = f"{here}/{repository.full_name}"
    counts = (
        "forks", "forks_count", "open_issues", "open_issues_count", "size", "stargazers_count",
        "watchers", "watchers_count", "network_count", "subscribers_count",
    )  # fmt: skip
    parts = ("issues", "projects", "wiki", "pages", "discussions", "downloads")
    return {
        **repository_in_short(repository, here),
        "default_branch": repository.default_branch,
        "archived": repository.archived,
        "disabled": False,
        "visibility": "private",
        "clone_url": f"{html_url}.git",
        "git_url": f"{html_url}.git",
        "ssh_url": f"{html_url}.git",
        "svn_url": html_url,
        "mirror_url": None,
        "homepage": None,
        "language": None,
        "license": None,
        **dict.fromkeys(counts, 0),
        **{f"has_{part}": False for part in parts},
        "created_at": timestamp(repository.created_at),
        "updated_at": timestamp(repository.created_at),
        "pushed_at": timestamp(repository.created_at),
        "permissions": {"admin": True, "push": True, "pull": True},
    }


def workflow(found: Workflow, repository: Repository, here: str) -> JSONObject:
    address = f"repos/{repository.full_name}/actions/workflows"
    html = f"{here}/{repository.full_name}"
    return {
        "id": found.id,
        "node_id": f"W_{found.id}",
        "name": found.name,
        "path": found.path,
        "state": found.state.value,
        "created_at": timestamp(found.created_at),
        "updated_at": timestamp(found.updated_at),
        "url": f"{here}/{address}/{found.id}",
        "html_url": f"{html}/blob/{repository.default_branch}/{found.path}",
        "badge_url": f"{html}/workflows/{found.file}/badge.svg",
    }


def run(found: Run, repository: Repository, here: str, now: datetime) -> JSONObject:
    """The run as of ``now``."""
    number, attempt = found.attempt(now)
    actions = f"{here}/repos/{repository.full_name}/actions"
    url = f"{actions}/runs/{found.id}"
    head = repository.commit(found.head_branch)
    within = repository_in_short(repository, here)
    earlier = f"{url}/attempts/{number - 1}" if number > 1 else None
    return {
        "id": found.id,
        "name": found.workflow.name,
        "node_id": f"WFR_{found.id}",
        "head_branch": found.head_branch,
        "head_sha": head,
        "path": found.workflow.path,
        "display_title": found.display_title,
        "run_number": found.number,
        "event": found.event,
        "status": found.status(now),
        "conclusion": found.conclusion(now),
        "workflow_id": found.workflow.id,
        "check_suite_id": found.id,
        "check_suite_node_id": f"CS_{found.id}",
        "url": url,
        "html_url": f"{here}/{repository.full_name}/actions/runs/{found.id}",
        "pull_requests": [],
        "created_at": timestamp(found.created_at),
        "updated_at": timestamp(attempt.updated_at(now)),
        "actor": user(USER, here),
        "run_attempt": number,
        "run_started_at": timestamp(attempt.started_at),
        "triggering_actor": user(USER, here),
        "jobs_url": f"{url}/jobs",
        "logs_url": f"{url}/logs",
        "check_suite_url": f"{here}/repos/{repository.full_name}/check-suites/{found.id}",
        "artifacts_url": f"{url}/artifacts",
        "cancel_url": f"{url}/cancel",
        "rerun_url": f"{url}/rerun",
        "previous_attempt_url": earlier,
        "workflow_url": f"{actions}/workflows/{found.workflow.id}",
        "head_commit": {
            "id": head,
            "tree_id": head,
            "message": "Simulated",
            "timestamp": timestamp(repository.created_at),
            "author": {"name": USER, "email": "dispatchd@localhost"},
            "committer": {"name": USER, "email": "dispatchd@localhost"},
        },
        "repository": within,
        "head_repository": within,
    }


def file_entry(found: Workflow, repository: Repository, here: str) -> JSONObject:
    """A workflow file as a directory lists it."""
    url = f"{here}/repos/{repository.full_name}/contents/{found.path}"
    url += f"?ref={repository.default_branch}"
    content = found.text.encode()
    blob = sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    git_url = f"{here}/repos/{repository.full_name}/git/blobs/{blob}"
    html_url = f"{here}/{repository.full_name}/blob/{repository.default_branch}/{found.path}"
    return {
        "name": found.file,
        "path": f"{DIRECTORY}/{found.file}",
        "sha": blob,
        "size": len(content),
        "url": url,
        "html_url": html_url,
        "git_url": git_url,
        "download_url": f"{html_url}?raw=1",
        "type": "file",
        "_links": {"self": url, "git": git_url, "html": html_url},
    }


def file_content(found: Workflow, repository: Repository, here: str) -> JSONObject:
    """A workflow file with what it holds."""
    return {
        **file_entry(found, repository, here),
        "content": base64.encodebytes(found.text.encode()).decode("ascii"),
        "encoding": "base64",
    }


def branch(name: str, repository: Repository, here: str) -> JSONObject:
    url = f"{here}/repos/{repository.full_name}"
    commit = repository.commit(name)
    someone = {"name": USER, "email": "dispatchd@localhost", "date": "2020-01-01T00:00:00Z"}
    tree = {"sha": commit, "url": f"{url}/git/trees/{commit}"}
    return {
        "name": name,
        "commit": {
            "url": f"{url}/commits/{commit}",
            "sha": commit,
            "node_id": f"C_{commit}",
            "html_url": f"{here}/{repository.full_name}/commit/{commit}",
            "comments_url": f"{url}/commits/{commit}/comments",
            "commit": {
                "url": f"{url}/git/commits/{commit}",
                "author": someone,
                "committer": someone,
                "message": "Simulated",
                "comment_count": 0,
                "tree": tree,
            },
            "author": user(USER, here),
            "committer": user(USER, here),
            "parents": [],
        },
        "_links": {
            "self": f"{url}/branches/{name}",
            "html": f"{here}/{repository.full_name}/tree/{name}",
        },
        "protected": False,
        "protection": {"enabled": False},
        "protection_url": f"{url}/branches/{name}/protection",
    }


def git_ref(name: str, repository: Repository, here: str) -> JSONObject:
    url = f"{here}/repos/{repository.full_name}/git"
    commit = repository.commit(name)
    return {
        "ref": f"refs/heads/{name}",
        "node_id": f"REF_{repository.number}_{name}",
        "url": f"{url}/refs/heads/{name}",
        "object": {"type": "commit", "sha": commit, "url": f"{url}/commits/{commit}"},
    }
