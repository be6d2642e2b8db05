"""The means by which documentation is tested: its examples are found, its shown output is compared
as a reader would, and curl's options do here what they do in curl."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.console import agrees, steps
from tests.curl import parse, perform
from tests.examples import Example, examples

LINES = st.text(st.characters(codec="utf-8", exclude_characters="\n\r`~"), max_size=20)


def written(directory: Path, text: str) -> list[Example]:
    document = directory / "page.md"
    document.write_text(text, encoding="utf-8")
    return examples(document)


def test_an_example_has_its_language_text_line_and_directives(tmp_path: Path) -> None:
    page = '# Page\n\n<!-- example: first file="a b.json" background -->\n```json\n{}\n```\n'
    (example,) = written(tmp_path, page)
    assert example == Example(
        "json", "{}\n", 5, {"name": "first", "file": "a b.json", "background": ""}
    )
    assert example.name == "first"


def test_a_comment_counts_only_directly_above_its_fence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"page\.md:1: no fence directly below"):
        written(tmp_path, "<!-- example: lost -->\n\n```json\n{}\n```\n")


def test_a_fence_that_is_never_closed_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"page\.md:3: this fence is never closed"):
        written(tmp_path, "text\n\n```json\n{}\n")


def test_a_fence_within_a_longer_fence_is_text(tmp_path: Path) -> None:
    (example,) = written(tmp_path, "````markdown\n```json\n{}\n```\n````\n")
    assert example.text == "```json\n{}\n```\n"


def test_a_fence_in_a_list_is_dedented(tmp_path: Path) -> None:
    (example,) = written(tmp_path, "1. First:\n\n   ```yaml\n   a:\n     b: 1\n   ```\n")
    assert (example.language, example.text) == ("yaml", "a:\n  b: 1\n")


@given(st.lists(st.lists(LINES, max_size=4), max_size=4))
def test_every_example_is_found_again_in_its_place(
    tmp_path_factory: pytest.TempPathFactory, blocks: list[list[str]]
) -> None:
    page = "".join(
        "Text\n```json\n" + "".join(f"{x}\n" for x in lines) + "```\n" for lines in blocks
    )
    found = written(tmp_path_factory.getbasetemp(), page)
    assert [each.text for each in found] == ["".join(f"{x}\n" for x in lines) for lines in blocks]
    for example, lines in zip(found, blocks, strict=True):
        assert page.split("\n")[example.line - 1 :][: len(lines)] == lines


def test_commands_and_what_is_shown_below_them_are_told_apart() -> None:
    text = "$ first \\\n    more\nits output\nin two lines\n$ second\n"
    first, second = steps(Example("console", text, 10, {}))
    assert (first.command, first.shown, first.line) == (
        "first \\\n    more",
        "its output\nin two lines",
        10,
    )
    assert (second.command, second.shown, second.line) == ("second", "", 14)


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("a  b\nc", "\na b   \nc\n"),
        ("id evt_… accepted", "id evt_01abc   accepted\n"),
        ("first\n…\nlast", "first\nlast"),
        ("first\n…\nlast", "first\n1\n2\nlast"),
    ],
)
def test_output_agrees_where_a_reader_would_say_so(shown: str, printed: str) -> None:
    assert agrees(shown, printed)


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("a b", "a b\nc"),
        ("a b\nc", "a b"),
        ("state accepted", "state dead"),
        ("id evt_… accepted", "id evt_01abc\naccepted"),
        ("a.c", "abc"),
    ],
)
def test_other_output_does_not_agree(shown: str, printed: str) -> None:
    assert not agrees(shown, printed)


class Echo(BaseHTTPRequestHandler):
    """Answers with the request as JSON."""

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = {
            "method": self.command,
            "path": self.path,
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "body": body.decode(),
        }
        answer = json.dumps(request).encode()
        self.send_response(201)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = do_PUT = answer  # noqa: N815 - the names that http.server wants

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def echo() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_curl_gets_by_default_and_posts_where_it_has_data() -> None:
    with echo() as url:
        got = json.loads(perform(parse(["-s", f"{url}/a?b=1"])))
        posted = json.loads(perform(parse([url, "-d", "a=1", "-d", "b=2"])))
    assert (got["method"], got["path"], got["body"]) == ("GET", "/a?b=1", "")
    assert (posted["method"], posted["body"]) == ("POST", "a=1&b=2")
    assert posted["headers"]["content-type"] == "application/x-www-form-urlencoded"


def test_curl_sends_files_as_they_are_with_data_binary_and_without_newlines_with_d(
    tmp_path: Path,
) -> None:
    file = tmp_path / "body"
    file.write_bytes(b"a\r\nb\n")
    with echo() as url:
        whole = json.loads(perform(parse([url, "--data-binary", f"@{file}"])))
        stripped = json.loads(perform(parse([url, "-d", f"@{file}"])))
    assert (whole["body"], stripped["body"]) == ("a\r\nb\n", "ab")


def test_curls_headers_method_and_output_are_as_given(tmp_path: Path) -> None:
    output = tmp_path / "answer"
    with echo() as url:
        words = [
            "-si",
            "-XPUT",
            url,
            "-H",
            "content-type: text/plain",
            "-d",
            "x",
            "-o",
            str(output),
        ]
        assert perform(parse(words)) == b""
    head, _, body = output.read_bytes().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 201 Created\r\n")
    request = json.loads(body)
    assert request["method"] == "PUT"
    assert request["headers"]["content-type"] == "text/plain"


def test_an_option_of_curl_that_is_not_known_here_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(["--compressed", "http://127.0.0.1"])
    assert caught.value.code == 2
    assert "--compressed" in capsys.readouterr().err
