"""The objects that GitHub's events are made of, with all the fields and URL templates that real
ones carry.

Source: GitHub, "Webhook events and payloads".
"""

from __future__ import annotations

import hashlib
from typing import Any

API = "https://api.github.com"
SITE = "https://github.com"
AT = "2025-03-14T09:26:53Z"

ENDPOINTS = (
    "archive_url:/{archive_format}{/ref}",
    "assignees_url:/assignees{/user}",
    "blobs_url:/git/blobs{/sha}",
    "branches_url:/branches{/branch}",
    "collaborators_url:/collaborators{/collaborator}",
    "comments_url:/comments{/number}",
    "commits_url:/commits{/sha}",
    "compare_url:/compare/{base}...{head}",
    "contents_url:/contents/{+path}",
    "contributors_url:/contributors",
    "deployments_url:/deployments",
    "downloads_url:/downloads",
    "events_url:/events",
    "forks_url:/forks",
    "git_commits_url:/git/commits{/sha}",
    "git_refs_url:/git/refs{/sha}",
    "git_tags_url:/git/tags{/sha}",
    "hooks_url:/hooks",
    "issue_comment_url:/issues/comments{/number}",
    "issue_events_url:/issues/events{/number}",
    "issues_url:/issues{/number}",
    "keys_url:/keys{/key_id}",
    "labels_url:/labels{/name}",
    "languages_url:/languages",
    "merges_url:/merges",
    "milestones_url:/milestones{/number}",
    "notifications_url:/notifications{?since,all,participating}",
    "pulls_url:/pulls{/number}",
    "releases_url:/releases{/id}",
    "stargazers_url:/stargazers",
    "statuses_url:/statuses/{sha}",
    "subscribers_url:/subscribers",
    "subscription_url:/subscription",
    "tags_url:/tags",
    "teams_url:/teams",
    "trees_url:/git/trees{/sha}",
)
"""The URLs and URL templates that a repository object carries, below its own."""

USER_ENDPOINTS = (
    "events_url:/events{/privacy}",
    "followers_url:/followers",
    "following_url:/following{/other_user}",
    "gists_url:/gists{/gist_id}",
    "organizations_url:/orgs",
    "received_events_url:/received_events",
    "repos_url:/repos",
    "starred_url:/starred{/owner}{/repo}",
    "subscriptions_url:/subscriptions",
)

Object = dict[str, Any]


def repository(name: str) -> Object:
    """A repository object, as every event carries it."""
    full_name = f"acme/{name}"
    return {
        "id": 186_853_002,
        "node_id": "MDEwOlJlcG9zaXRvcnkxODY4NTMwMDI=",
        "name": name,
        "full_name": full_name,
        "private": True,
        "owner": organization() | {"type": "Organization", "site_admin": False},
        "html_url": f"{SITE}/{full_name}",
        "description": "Everything that one can buy",
        "fork": False,
        "url": f"{API}/repos/{full_name}",
        **urls(ENDPOINTS, f"{API}/repos/{full_name}"),
        "created_at": AT,
        "updated_at": AT,
        "pushed_at": AT,
        "git_url": f"git://github.com/{full_name}.git",
        "ssh_url": f"git@github.com:{full_name}.git",
        "clone_url": f"{SITE}/{full_name}.git",
        "svn_url": f"{SITE}/{full_name}",
        "homepage": None,
        "size": 18_204,
        "stargazers_count": 12,
        "watchers_count": 12,
        "language": "Python",
        "has_issues": True,
        "has_projects": True,
        "has_downloads": True,
        "has_wiki": False,
        "has_pages": False,
        "has_discussions": False,
        "forks_count": 3,
        "mirror_url": None,
        "archived": False,
        "disabled": False,
        "open_issues_count": 27,
        "license": None,
        "allow_forking": False,
        "is_template": False,
        "web_commit_signoff_required": False,
        "topics": ["basket", "shop"],
        "visibility": "private",
        "forks": 3,
        "open_issues": 27,
        "watchers": 12,
        "default_branch": "main",
    }


def user(login: str, number: int) -> Object:
    url = f"{API}/users/{login}"
    return {
        "login": login,
        "id": number,
        "node_id": "MDQ6VXNlcjIxMDMxMDY3",
        "avatar_url": f"https://avatars.githubusercontent.com/u/{number}?v=4",
        "gravatar_id": "",
        "url": url,
        "html_url": f"{SITE}/{login}",
        **urls(USER_ENDPOINTS, url),
        "type": "User",
        "site_admin": False,
    }


def organization() -> Object:
    return {
        "login": "acme",
        "id": 79_929_171,
        "node_id": "MDEyOk9yZ2FuaXphdGlvbjc5OTI5MTcx",
        "url": f"{API}/orgs/acme",
        "repos_url": f"{API}/orgs/acme/repos",
        "events_url": f"{API}/orgs/acme/events",
        "avatar_url": "https://avatars.githubusercontent.com/u/79929171?v=4",
        "description": "",
    }


def branch(name: str) -> Object:
    return {
        "label": f"acme:{name}",
        "ref": name,
        "sha": sha(name),
        "user": user("acme", 79_929_171),
        "repo": repository("shop"),
    }


def label(name: str, number: int) -> Object:
    return {
        "id": number,
        "node_id": "MDU6TGFiZWwxMzYyOTM0Mzg5",
        "url": f"{API}/repos/acme/shop/labels/{name.replace(' ', '%20')}",
        "name": name,
        "color": "d73a4a",
        "default": False,
        "description": "",
    }


def author() -> Object:
    return {"name": "Mona", "email": "mona@acme.example", "username": "mona"}


def urls(endpoints: tuple[str, ...], base: str) -> dict[str, str]:
    pairs = (endpoint.split(":", 1) for endpoint in endpoints)
    return {name: f"{base}{path}" for name, path in pairs}


def sha(of: str) -> str:
    """Forty hexadecimal digits that look like a commit."""
    return hashlib.sha1(of.encode(), usedforsecurity=False).hexdigest()
