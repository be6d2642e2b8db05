"""The workflows in ``examples`` are valid and safe, and a job is carried out by real git as they
say. Only GitHub is the stand-in, and the container engine one that needs no images."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.stage import (
    FACTORY,
    NOTIFY,
    PLANNER,
    REPOSITORY,
    TOKEN,
    Stage,
    needs_programs,
    simulator,
    stage,
)
from tests.test_workflow import check

pytestmark = pytest.mark.no_cover

__all__ = ["simulator", "stage"]

BIN = Path(sys.executable).parent


class TestLooks:
    def test_they_are_workflows_by_githubs_schema_and_safe_by_zizmor(self) -> None:
        check([file.read_text("utf-8") for file in (FACTORY, NOTIFY)])

    @pytest.mark.skipif(not (BIN / "actionlint").exists(), reason="actionlint is not installed")
    def test_actionlint_and_shellcheck_find_nothing(self) -> None:
        assert (BIN / "shellcheck").exists(), "actionlint would not look into the scripts"
        ran = linted([FACTORY, NOTIFY])
        assert (ran.returncode, ran.stdout) == (0, "")

    @pytest.mark.skipif(not (BIN / "actionlint").exists(), reason="actionlint is not installed")
    @pytest.mark.parametrize(
        ("good", "bad", "found"),
        [
            ("steps.begin.outputs.todo", "steps.start.outputs.todo", "start"),
            ('mkdir "$GIT_WORK_TREE"', "mkdir $GIT_WORK_TREE", "SC2086"),
        ],
    )
    def test_these_two_find_what_is_wrong(
        self, tmp_path: Path, good: str, bad: str, found: str
    ) -> None:
        text = FACTORY.read_text("utf-8")
        assert good in text
        (tmp_path / "bad.yml").write_text(text.replace(good, bad))
        assert found in linted([tmp_path / "bad.yml"]).stdout

    @pytest.mark.parametrize("file", [FACTORY, NOTIFY], ids=lambda file: file.name)
    def test_nothing_from_outside_is_pasted_into_a_script_and_no_action_is_used(
        self, file: Path
    ) -> None:
        for job in yaml.safe_load(file.read_text("utf-8"))["jobs"].values():
            for step in job["steps"]:
                assert "uses" not in step
                assert "${{" not in step["run"]

    @pytest.mark.skipif(shutil.which("docker") is None, reason="docker is not installed")
    async def test_docker_knows_every_option_that_its_substitute_takes(self, stage: Stage) -> None:
        """With no engine behind it: it says so, and so has read the options."""
        await stage.work()
        words = stage.words[stage.words.index("docker") :]
        words = words[: words.index("planner") + 1]
        environ = {**os.environ, "DOCKER_HOST": "unix:///there/is/none.sock"}
        ran = await asyncio.to_thread(
            subprocess.run, words, env=environ, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 125
        assert "unknown flag" not in ran.stderr
        assert "/there/is/none.sock" in ran.stderr


def linted(files: list[Path]) -> subprocess.CompletedProcess[str]:
    words = [str(BIN / "actionlint"), "-no-color", "-oneline", *map(str, files)]
    environ = {**os.environ, "PATH": f"{BIN}:{os.defpath}"}
    return subprocess.run(words, env=environ, capture_output=True, text=True, check=False)


@needs_programs
class TestAJob:
    async def test_it_gets_a_branch_its_file_and_a_pull_request(self, stage: Stage) -> None:
        ran = await stage.work("7", "  Plan the scraper\nof the web", dispatchd={"id": "dsp_1"})
        assert ran.conclusion == "success", ran.log
        assert stage.origin.branches == ["job/7", "main"]
        assert stage.origin.files("job/7") == [
            "PRPs/web-scraper.md",
            "README.md",
            "jobs/7/job.md",
            "jobs/7/log.txt",
        ]
        assert stage.origin.text("job/7", "jobs/7/job.md") == "Plan the scraper\nof the web"
        assert stage.origin.text("job/7", "jobs/7/log.txt") == "Planned.\nCONFIDENCE_SCORE: 9/10"
        assert stage.origin.git("log", "--format=%an: %s", "main..job/7").split("\n") == [
            "github-actions[bot]: Carry out job/7",
            "github-actions[bot]: Begin job/7",
        ]
        _, (pull,) = await stage.ask("GET", "/pulls")
        assert pull["title"] == "Plan the scraper of the web"
        assert (pull["head"]["ref"], pull["base"]["ref"]) == ("job/7", "main")
        assert "actions/runs/1" in pull["body"]
        assert f"::notice::The pull request: {pull['html_url']}\n" in ran.log

    async def test_the_image_sees_the_tree_and_the_payload_and_nothing_of_gits(
        self, stage: Stage
    ) -> None:
        payload = {"job_id": "7", "job_description": "x", "prp": "PRPs/a.md"}
        await stage.run_factory({"action": "wat-factory", "client_payload": payload})
        seen = json.loads((stage.images / "seen.json").read_text())
        assert seen["payload"] == payload
        assert seen["volumes"] == ["/payload.json", "/work"]
        assert {Path(path).name for path in seen["readable"]} == {
            "README.md",
            "jobs",
            "7",
            "job.md",
        }
        assert set(seen["environ"]) == {"PATH", "HOME", "JOB_ID", "JOB_FILE"}
        assert TOKEN not in json.dumps(seen)

    @pytest.mark.parametrize(
        "job_id",
        ["", "../../heads/main", "a/b", "a b", ".hidden", "-f", "a..b", "x" * 65, "a\nb", "é"],
    )
    async def test_an_id_that_could_lead_elsewhere_is_refused(
        self, stage: Stage, job_id: str
    ) -> None:
        ran = await stage.work(job_id)
        assert ran.conclusion == "failure"
        assert "::error::job_id is missing from the payload, or is not" in ran.log
        assert stage.origin.branches == ["main"]

    @pytest.mark.parametrize("description", ["", " \n\t", None])
    async def test_a_job_without_a_description_is_refused(
        self, stage: Stage, description: str | None
    ) -> None:
        ran = await stage.work("7", description)
        assert ran.conclusion == "failure"
        assert "::error::job_description is missing" in ran.log

    async def test_without_an_image_the_variable_is_named_and_nothing_is_begun(
        self, stage: Stage
    ) -> None:
        for image in ("", "--privileged"):
            stage.runner.variables["WAT_IMAGE"] = image
            ran = await stage.work()
            assert ran.conclusion == "failure"
            assert "WAT_IMAGE must name the container image" in ran.log
        assert stage.origin.branches == ["main"]

    async def test_what_it_says_is_text_whatever_it_looks_like(
        self, stage: Stage, tmp_path: Path
    ) -> None:
        hack = f"touch {tmp_path}/hacked"
        job = f"$({hack}) `{hack}` \"; {hack}; '\r\n::error::no\n${{{{ secrets.X }}}} \\n é %s -n"
        ran = await stage.work("7", job)
        assert ran.conclusion == "success", ran.log
        assert not (tmp_path / "hacked").exists()
        assert stage.origin.git("cat-file", "-s", "job/7:jobs/7/job.md") == str(
            len(f"{job}\n".encode())
        )
        assert "::error" not in ran.log
        again = await stage.work("7", job)
        assert "carried out before" in again.log

    async def test_sent_twice_it_is_carried_out_once(self, stage: Stage) -> None:
        await stage.work()
        before = stage.origin.head("job/7")
        ran = await stage.work()
        assert ran.conclusion == "success"
        assert "Run the image" not in ran.steps
        assert "::notice::The job has its pull request." in ran.log
        assert stage.origin.head("job/7") == before

    async def test_sent_again_once_it_is_merged_nothing_comes_of_it(self, stage: Stage) -> None:
        await stage.work()
        await stage.merged("job/7")
        ran = await stage.work()
        assert (ran.conclusion, ran.steps) == ("success", ("Begin the job on its branch",))
        assert "::notice::This job was carried out before." in ran.log
        assert stage.origin.branches == ["main"]

    async def test_one_that_broke_off_is_taken_up_where_it_was(self, stage: Stage) -> None:
        stage.image("planner", "#!/bin/bash\necho oh\nexit 3\n")
        ran = await stage.work()
        assert ran.conclusion == "failure"
        assert "::error::The image ended with 3, so nothing is offered." in ran.log
        assert stage.origin.files("job/7") == ["README.md", "jobs/7/job.md"]
        assert await stage.ask("GET", "/pulls") == (200, [])
        stage.image("planner", PLANNER)
        assert (await stage.work()).conclusion == "success"
        assert "jobs/7/log.txt" in stage.origin.files("job/7")

    async def test_another_job_with_its_id_is_refused(self, stage: Stage) -> None:
        await stage.work("7", "Plan this")
        before = stage.origin.head("job/7")
        for merge in (False, True):
            if merge:
                await stage.merged("job/7")
            ran = await stage.work("7", "Plan that")
            assert ran.conclusion == "failure"
            assert "::error::There is another job with the id 7." in ran.log
        assert stage.origin.git("rev-parse", "refs/pull/1/head") == before

    async def test_a_branch_that_no_job_has_made_is_left_alone(self, stage: Stage) -> None:
        made = stage.origin.commit("refs/heads/job/7", {"a": "b"}, "By hand")
        ran = await stage.work()
        assert ran.conclusion == "failure"
        assert "::error::There is a branch job/7 that no job has made." in ran.log
        assert stage.origin.head("job/7") == made

    async def test_an_image_reaches_neither_git_nor_the_runner_nor_other_files(
        self, stage: Stage, tmp_path: Path
    ) -> None:
        hack = tmp_path / "hacked"
        stage.image(
            "planner",
            f"""#!/bin/bash
            rm -r jobs; ln -s {tmp_path} jobs
            mkdir -p .git/hooks; printf '#!/bin/sh\\ntouch {hack}\\n' > .git/hooks/pre-commit
            chmod +x .git/hooks/pre-commit
            printf '[core]\\n\\thooksPath = .git/hooks\\n' > .git/config
            echo "::error::made up"
            """,
        )
        ran = await stage.work()
        assert ran.conclusion == "success", ran.log
        assert stage.origin.files("job/7") == ["README.md", "jobs/7/job.md", "jobs/7/log.txt"]
        assert stage.origin.text("job/7", "jobs/7/job.md") == "Plan it"
        assert not hack.exists()
        stop, _, rest = ran.log.partition("::stop-commands::")[2].partition("\n")
        assert rest.index("::error::made up") < rest.index(f"::{stop}::")

    async def test_where_github_lets_no_pull_request_be_opened_the_setting_is_named(
        self, stage: Stage
    ) -> None:
        await stage.work()
        repository = stage.simulator.world.repository(REPOSITORY)
        assert repository is not None
        repository.archived = True
        ran = await stage.work()
        assert ran.conclusion == "failure"
        assert "must allow GitHub Actions to create pull requests" in ran.log
