"""Repositories as GitHub serves them: git's own server over HTTP, behind a token."""

from __future__ import annotations

import asyncio
import base64
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

IDENTITY = {
    f"GIT_{role}_{part}": value
    for role in ("AUTHOR", "COMMITTER")
    for part, value in (("NAME", "Mona"), ("EMAIL", "mona@example.com"))
}
ALONE = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
"""Keeps whose machine it is out of what git does."""


@dataclass(frozen=True, slots=True)
class GitServer:
    """``url/NAME.git`` is the repository that ``directory/NAME.git`` holds. Whoever has not the
    ``token`` is asked for it."""

    url: str
    directory: Path
    token: str

    def create(self, name: str, files: Mapping[str, str]) -> Origin:
        """A repository with one commit on the branch main."""
        path = self.directory / f"{name}.git"
        path.mkdir(parents=True)
        origin = Origin(path)
        origin.git("init", "--quiet", "--bare", "--initial-branch", "main")
        origin.git("config", "uploadpack.allowFilter", "true")
        origin.commit("refs/heads/main", files, "First")
        return origin


@dataclass(frozen=True, slots=True)
class Origin:
    """A bare repository, as its owner sees it."""

    path: Path

    def git(self, *words: str, stdin: str = "") -> str:
        """What git prints. Raises CalledProcessError."""
        environ = {"PATH": "/usr/bin:/bin", "HOME": "/", **ALONE, **IDENTITY}
        ran = subprocess.run(
            ["git", "--git-dir", str(self.path), *words],
            input=stdin, capture_output=True, text=True, check=True, env=environ,
        )  # fmt: skip
        return ran.stdout.strip()

    def commit(self, ref: str, files: Mapping[str, str], message: str) -> str:
        """Puts a commit with these files onto ``ref``, which may be new; returns its hash."""
        index = self.path / "index"
        index.unlink(missing_ok=True)
        there = self.git("for-each-ref", "--format=%(objectname)", ref)
        if there:
            self.git("read-tree", there)
        for name, text in files.items():
            blob = self.git("hash-object", "-w", "--stdin", stdin=text)
            self.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{name}")
        parents = ["-p", there] if there else []
        made = self.git("commit-tree", self.git("write-tree"), *parents, "-m", message)
        self.git("update-ref", ref, made)
        return made

    def merge(self, branch: str, number: int) -> tuple[str, str]:
        """Merges a branch into main as GitHub does with a pull request, keeps its head under the
        number, and deletes the branch. Returns the hashes that main and the branch had."""
        base, head = self.head("main"), self.head(branch)
        tree = self.git("merge-tree", "--write-tree", base, head)
        words = ["commit-tree", tree, "-p", base, "-p", head, "-m", f"Merge #{number}"]
        self.git("update-ref", "refs/heads/main", self.git(*words))
        self.git("update-ref", f"refs/pull/{number}/head", head)
        self.git("update-ref", "-d", f"refs/heads/{branch}")
        return base, head

    def head(self, branch: str) -> str:
        return self.git("rev-parse", "--verify", f"refs/heads/{branch}")

    @property
    def branches(self) -> list[str]:
        return self.git("for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads").split()

    def files(self, branch: str) -> list[str]:
        return self.git("ls-tree", "-r", "--name-only", f"refs/heads/{branch}").split("\n")

    def text(self, branch: str, file: str) -> str:
        return self.git("cat-file", "-p", f"refs/heads/{branch}:{file}")


@asynccontextmanager
async def git_server(directory: Path, token: str) -> AsyncIterator[GitServer]:
    credential = base64.b64encode(f"x-access-token:{token}".encode()).decode()

    async def serve(request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Basic {credential}":
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="GitHub"'})
        return await _answer(request, directory)

    app = web.Application(client_max_size=0)
    app.router.add_route("*", "/{path:.+}", serve)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield GitServer(f"http://127.0.0.1:{runner.addresses[0][1]}", directory, token)
    finally:
        await runner.cleanup()


async def _answer(request: web.Request, directory: Path) -> web.Response:
    """What ``git http-backend`` makes of it, which speaks CGI (RFC 3875)."""
    environ = {
        "PATH": "/usr/bin:/bin",
        **ALONE,
        "GIT_PROJECT_ROOT": str(directory),
        "GIT_HTTP_EXPORT_ALL": "1",
        "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
        "REMOTE_USER": "runner",
        "REMOTE_ADDR": "127.0.0.1",
        "REQUEST_METHOD": request.method,
        "PATH_INFO": request.path,
        "QUERY_STRING": request.query_string,
        "CONTENT_TYPE": request.headers.get("Content-Type", ""),
        # aiohttp has undone it.
        "HTTP_CONTENT_ENCODING": "",
    }
    pipe = asyncio.subprocess.PIPE
    backend = await asyncio.create_subprocess_exec(
        "git", "http-backend", stdin=pipe, stdout=pipe, env=environ
    )
    printed, _ = await backend.communicate(await request.read())
    head, _, body = printed.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
    status = int(headers.pop("Status", "200 OK").split()[0])
    return web.Response(status=status, headers=headers, body=body)
