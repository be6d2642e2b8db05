"""Reading configuration files: every value has its place, and every slip is told where it is and
how to mend it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from daemon import json_text, yaml_text
from daemon.document import Document, dotted, read_json, read_yaml
from daemon.errors import ConfigError

Read = Callable[[Path], Document]

plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
values = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
).filter(lambda value: "inf" not in repr(value))


@pytest.fixture
def faults(tmp_path: Path) -> Callable[[Read, str | bytes], list[str]]:
    """Writes a file, reads it, and gives what is said against it."""

    def read(reader: Read, content: str | bytes) -> list[str]:
        path = tmp_path / "file"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        with pytest.raises(ConfigError) as caught:
            reader(path)
        return [str(fault).removeprefix(f"{path}:") for fault in caught.value.faults]

    return read


def read(tmp_path: Path, reader: Read, content: str) -> Document:
    path = tmp_path / "file"
    path.write_bytes(content.encode())
    return reader(path)


def paths(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield path
    if isinstance(value, dict):
        for key, child in value.items():
            yield from paths(child, (*path, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from paths(child, (*path, index))


def at(value: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def offset(text: str, place: tuple[int, int]) -> int:
    line, column = place
    return sum(len(one) for one in text.split("\n")[: line - 1]) + line - 1 + column - 1


@given(values, st.sampled_from([None, 1, "\t"]), st.booleans())
def test_every_value_and_key_of_a_json_text_is_found_at_its_place(
    data: Any, indent: int | str | None, ascii_only: bool
) -> None:
    text = json.dumps(data, indent=indent, ensure_ascii=ascii_only)
    document = Document("file", text, data)
    for path in paths(data):
        found, _ = json.JSONDecoder().raw_decode(text, offset(text, document.place(path)))
        assert found == at(data, path)
        if path and isinstance(path[-1], str):
            key = offset(text, document.place(path, key=True))
            assert json.JSONDecoder().raw_decode(text, key)[0] == path[-1]


def test_a_path_that_leads_nowhere_has_the_place_of_what_it_gets_to() -> None:
    text = '[\n  {"auth": {"scheme": "github"}}\n]'
    document = Document("file", text, json.loads(text))
    assert document.place([0, "auth", "secret"]) == (2, 12)
    assert document.place([0, "auth", "secret", 3], key=True) == (2, 12)
    assert document.place([7]) == (1, 1)


def test_columns_count_characters_and_leave_out_the_byte_order_mark(tmp_path: Path) -> None:
    document = read(tmp_path, read_json, '\ufeff{"ä€😀": 1, "b": 2}')
    assert document.place(["b"], key=True) == (1, 12)
    assert document.text.startswith("{")


def test_lines_end_as_on_any_system(tmp_path: Path) -> None:
    document = read(tmp_path, read_json, "[\r\n1,\r2,\n3]")
    assert [document.place([index]) for index in range(3)] == [(2, 1), (3, 1), (4, 1)]


def test_tabs_may_indent_json(tmp_path: Path) -> None:
    document = read(tmp_path, read_json, '[\n\t{\n\t\t"name": "a"\n\t}\n]')
    assert document.data == [{"name": "a"}]
    assert document.place([0, "name"]) == (3, 11)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "1:1: is empty: write [] for no entries"),
        ("\ufeff \n", "1:1: is empty: write [] for no entries"),
        ("[1,\n]", '1:3: trailing comma before the closing "]" (remove the comma)'),
        ('{"a": 1 , }', '1:9: trailing comma before the closing "}" (remove the comma)'),
        ('{"a": 1\n "b": 2}', "1:8: a comma is missing here (values are separated by commas)"),
        ('["a";"b"]', "1:5: a comma is missing here (values are separated by commas)"),
        ("[,]", "1:2: a value is missing before this comma (remove the comma)"),
        ('{,"a": 1}', "1:2: a key and its value are missing before this comma (remove the comma)"),
        ('{"a":}', "1:6: a value is missing here"),
        ('{"a" 1}', '1:5: a colon is missing after this key (write "key": value)'),
        ("['a']", '1:2: only straight double quotes hold text (write "…")'),
        ("{“a”: 1}", '1:2: only straight double quotes hold text (write "…")'),
        ("{a: 1}", "1:2: a key is expected here (a key stands in double quotes)"),
        ("[abc]", '1:2: text stands in double quotes (write "…")'),
        ("[True]", "1:2: not a word of JSON (write true, false or null)"),
        ("[1}", '1:3: "}" cannot close the "[" of 1:1 (write "]")'),
        ("[1:2]", "1:3: a key and its value need braces (write {…} around them)"),
        ("[]]", '1:3: nothing is open that this "]" could close'),
        ("{}\n{}", "2:1: the text goes on after its end (all entries stand in one array: [ … ])"),
        ('[{"a": 1', '1:9: the text ends before the "{" of 1:2 is closed (add "}")'),
        ('[{"a"', '1:6: the text ends before the "{" of 1:2 is closed (add "}")'),
        ("[1, ", '1:5: the text ends before the "[" of 1:1 is closed (add "]")'),
        ("{", '1:2: the text ends before the "{" of 1:1 is closed (add "}")'),
        (
            '["a\nb"]',
            r'1:2: this text does not end on its line (close it with ", or write a'
            r" line break as \n)",
        ),
        ('["a\tb"]', r"1:4: a tab inside of text (write \t)"),
        ('["\x01"]', r"1:3: a control character (U+0001) inside of text (write \u0001)"),
        (r'["C:\dir"]', r"1:5: a backslash that begins no escape (write \\ for a backslash)"),
        (r'["\ud83d"]', r"1:2: half a surrogate pair (\ud800 to \udfff) in text"),
        ("[NaN]", "1:2: NaN is not JSON (write a number, or null)"),
        ("[1e999]", "1:2: a number of 5 characters is too large"),
        ("[" + "9" * 5000 + "]", "1:2: a number of 5000 characters is too large"),
        ("[" * 101 + "]" * 101, "1:101: nested deeper than the 100 levels allowed"),
        ("[" * 200_000, "1:101: nested deeper than the 100 levels allowed"),
    ],
)
def test_a_slip_in_json_is_told_with_its_place_and_its_cure(
    faults: Callable[[Read, str], list[str]], text: str, said: str
) -> None:
    assert faults(read_json, text) == [said]


@pytest.mark.parametrize("number", ["007", "+1", ".5", "1.", "0x10", "1_000"])
def test_numbers_are_written_plainly(faults: Callable[[Read, str], list[str]], number: str) -> None:
    [said] = faults(read_json, f"[{number}]")
    assert said.startswith("1:2: not a number of JSON (write it plainly")


@pytest.mark.parametrize("text", ["// x\n[]", "[ /* x */ ]", "[1 # x\n]", "[] // x", "{ // x\n}"])
def test_comments_are_refused_with_the_place_for_words(
    faults: Callable[[Read, str], list[str]], text: str
) -> None:
    [said] = faults(read_json, text)
    assert "JSON has no comments (take it out" in said


def test_every_duplicate_key_is_told_with_the_first_one(
    faults: Callable[[Read, str], list[str]],
) -> None:
    text = '[{"a": 1,\n  "a": 2,\n  "b": {"c": 1, "\\u0063": 2},\n  "a": 3}]'
    assert faults(read_json, text) == [
        '2:3: duplicate key "a" (first at 1:3: keep one of the two)',
        '3:17: duplicate key "c" (first at 3:9: keep one of the two)',
        '4:3: duplicate key "a" (first at 1:3: keep one of the two)',
    ]


def test_what_was_found_before_a_syntax_error_is_told_with_it(
    faults: Callable[[Read, str], list[str]],
) -> None:
    assert len(faults(read_json, '[{"a": NaN, "a": 2}, oops]')) == 3


def test_bytes_that_are_not_utf_8_are_located(
    faults: Callable[[Read, bytes], list[str]],
) -> None:
    assert faults(read_json, b'[\n"\xc3\xa4\xff"]') == [
        "2:3: not UTF-8: the byte 0xff (save the file as UTF-8)"
    ]
    [said] = faults(read_json, "[]".encode("utf-16"))
    assert said.endswith("(it looks like UTF-16: save the file as UTF-8)")


def test_a_file_that_is_not_there_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read_json(tmp_path / "CRONS.json", "config/CRONS.json")
    [fault] = caught.value.faults
    assert str(fault).startswith("config/CRONS.json: there is no such file (")
    assert "--config-dir" in fault.hint


def test_a_directory_in_place_of_a_file_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: is a directory"):
        read_yaml(tmp_path)


def test_nesting_to_the_limit_and_pairs_of_surrogates_are_read(tmp_path: Path) -> None:
    assert read(tmp_path, read_json, "[" * 100 + "]" * 100).data
    assert read(tmp_path, read_json, r'["\ud83d\ude00"]').data == ["😀"]


@given(values, st.data())
def test_the_scan_finds_a_slip_wherever_the_parser_refuses(value: Any, data: st.DataObject) -> None:
    """``json`` and the scan agree on every text, also on one with a random edit."""
    text = json.dumps(value, indent=data.draw(st.sampled_from([None, 1])))
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 3)))
    text = (
        text[:start] + data.draw(st.text('[]{}",:\\ \n\t0-1.eEnu+tNa/é', max_size=3)) + text[end:]
    )

    repeated: list[str] = []

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        repeated.extend(key for key, _ in found[len(dict(found)) :])
        return dict(found)

    try:
        read = json.loads(text, object_pairs_hook=pairs)
    except ValueError:
        assert json_text.scan(text)[1]
    else:
        unusual = repeated or any(word in repr(read) for word in ("nan", "inf", "\\ud"))
        assert bool(json_text.scan(text)[1]) <= bool(unusual)


def test_ten_thousand_entries_are_read_and_placed(tmp_path: Path) -> None:
    entry = {"schedule": "0 3 * * *", "dispatch": {"event_type": "build", "client_payload": {}}}
    text = json.dumps([{"name": f"e{number}", **entry} for number in range(10_000)], indent="\t")
    document = read(tmp_path, read_json, text)
    assert document.place([9_999, "name"]) == (2 + 9_999 * 8 + 1, 11)


class QuotingDumper(yaml.SafeDumper):
    """Puts every text in quotes: plain, `0E0` is a number to YAML 1.2 and none to 1.1."""


QuotingDumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'),
)


@given(values.filter(lambda value: value is not None))
def test_what_json_can_say_yaml_says_too(value: Any) -> None:
    place, data, slips = yaml_text.scan(yaml.dump(value, Dumper=QuotingDumper))
    assert (data, slips) == (value, [])
    assert place.start <= len(yaml.safe_dump(value))


@given(st.text("ab:- \n\t[]{}&*!|>'\"#%@,?0.~\\xU\x07é"))
def test_no_text_makes_the_yaml_reader_fail(text: str) -> None:
    """Whatever the text, it is data of JSON's kinds, or slips within the text say why not."""
    _, data, slips = yaml_text.scan(text)
    assert all(0 <= slip.offset <= len(text) for slip in slips)
    if not slips:
        json.dumps(data, allow_nan=False).encode()


def test_yaml_keeps_words_dates_and_odd_numbers_as_text(tmp_path: Path) -> None:
    text = (
        "a: yes\nb: 2030-01-01\nc: 010\nd: 0x10\ne: 12:30\nf: on\n"
        "g: True\nh: ~\ni: -1.5e3\nj: 8080\nk: <<\n"
    )
    data = read(tmp_path, read_yaml, text).data
    assert list(data.values())[:6] == ["yes", "2030-01-01", "010", "0x10", "12:30", "on"]
    assert list(data.values())[6:] == [True, None, -1500.0, 8080, "<<"]


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "~"])
def test_an_empty_yaml_file_has_no_settings(tmp_path: Path, text: str) -> None:
    document = read(tmp_path, read_yaml, text)
    assert document.data == {}
    assert document.place(["gh_token"]) == (1, 1)


def test_yaml_has_places_too(tmp_path: Path) -> None:
    document = read(tmp_path, read_yaml, "# x\nbreaker:\n  max: 5\nlist:\n  - ä: 1\n    b: two\n")
    assert document.place(["breaker", "max"], key=True) == (3, 3)
    assert document.place(["breaker", "max"]) == (3, 8)
    assert document.place(["list", 0, "b"]) == (6, 8)
    assert document.place(["list", 0, "c"]) == (5, 5)


def test_an_alias_repeats_what_its_anchor_holds(tmp_path: Path) -> None:
    assert read(tmp_path, read_yaml, "a: &x [1]\nb: *x").data == {"a": [1], "b": [1]}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a:\n\tb: 1", "2:1: a tab, with which YAML cannot be indented (write spaces)"),
        ("a: 1\na: 2", '2:1: duplicate key "a" (first at 1:1: keep one of the two)'),
        ("1: a", "1:1: a key that is not text (put it in quotes)"),
        ("? [a]\n: b", "1:3: a key that is not text (put it in quotes)"),
        ("a: 1\n---\nb: 2", "2:1: a second document begins here (remove this --- line)"),
        ("a: b: c", '1:5: a colon that begins a second value on this line (put text that holds'
         ' ": " in quotes)'),
        ("a: @x", "1:4: this character cannot begin a value (put the text in quotes)"),
        ("a: [1", "1:6: the text ends inside of quotes or brackets (close them)"),
        ('a: "x', "1:6: the text ends inside of quotes or brackets (close them)"),
        ('a: "\\d"', "1:6: a backslash that begins no escape (use single quotes, or write \\\\)"),
        ("- 1\nb: 2", "2:1: this does not belong to the lines above it (keys of one level begin in"
         ' the same column, entries of a list with "- ")'),
        ("%YAML 3.0\n--- 1", "1:1: cannot be read as YAML (check quotes, brackets and indentation"
         " up to here)"),
        ("a: \x07", "1:4: a control character (U+0007) (remove it)"),
        ('a: "\\UFFFFFFFF"', "1:7: an escape that stands for no character"),
        ('a: "\\ud800"', r"1:4: half a surrogate pair (\ud800 to \udfff) in text"),
        ("a: 1e999", "1:4: a number of 5 characters is too large"),
        ("a: !!python/name:os.system", "1:4: a tag (!…), which has no use here (put text that"
         " begins with ! in quotes)"),
        ("a: &a [*a]", "1:4: an alias (*…) repeats what it stands in (write it out)"),
        ("a: " + "[" * 50_000, "1:103: nested deeper than the 100 levels allowed"),
    ],
)  # fmt: skip
def test_a_slip_in_yaml_is_told_with_its_place_and_its_cure(
    faults: Callable[[Read, str], list[str]], text: str, said: str
) -> None:
    assert faults(read_yaml, text) == [said]


def test_aliases_of_aliases_cannot_stand_for_billions_of_values(
    faults: Callable[[Read, str], list[str]],
) -> None:
    lines = ["a0: &a0 [" + ", ".join("x" * 10) + "]"]
    for level in range(1, 10):
        aliases = ", ".join([f"*a{level - 1}"] * 10)
        lines.append(f"a{level}: &a{level} [{aliases}]")
    [said] = faults(read_yaml, "\n".join(lines))
    assert "more than 10000 values, with what its aliases (*…) repeat" in said


@pytest.mark.parametrize("value", ["*hunter2-hunter2", "!hunter2-hunter2", "&x hunter2-hunter2: 1",
                                   "'hunter2-hunter2", "%hunter2-hunter2"])  # fmt: skip
def test_a_slip_never_repeats_the_text_of_the_file(
    faults: Callable[[Read, str], list[str]], value: str
) -> None:
    """What does not parse may well be a token pasted without its quotes."""
    assert "hunter2" not in "".join(faults(read_yaml, f"gh_token: {value}"))
    assert "hunter2" not in "".join(faults(read_json, f'{{"secret": {value}}}'))


def test_a_path_is_shown_with_dots_and_brackets() -> None:
    assert dotted(["triggers", 2, "auth", "secret"]) == "triggers[2].auth.secret"
    assert dotted(["client_payload", "a key"]) == 'client_payload["a key"]'
    assert dotted([]) == ""
