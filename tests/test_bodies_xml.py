"""XML bodies: the documented shape, and what is kept out."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.body import parse_body
from daemon.body.json_body import refuse_depth
from daemon.body.xml_body import XML_DEPTH_MAX, XML_NODES_MAX
from daemon.errors import Refused
from daemon.expressions import JSON

AS_XML = {"content-type": "application/xml"}


@pytest.mark.parametrize(
    ("xml", "value"),
    [
        ("<a/>", {"a": ""}),
        ("<a>  </a>", {"a": ""}),
        ("<a> b &amp; &#x20AC; </a>", {"a": "b & €"}),
        ("<a><![CDATA[<b>]]>c</a>", {"a": "<b>c"}),
        ("<a b='1' c=''/>", {"a": {"@b": "1", "@c": ""}}),
        ("<a b='1'>text</a>", {"a": {"@b": "1", "#text": "text"}}),
        ("<a><b>1</b><c/></a>", {"a": {"b": "1", "c": ""}}),
        ("<a><b>1</b><c/><b>2</b></a>", {"a": {"b": ["1", "2"], "c": ""}}),
        ("<a>\n  <b/>\n  <b c='1'/>\n</a>", {"a": {"b": ["", {"@c": "1"}]}}),
        ("<a>x<b/>y</a>", {"a": {"b": "", "#text": "xy"}}),
        ("<s:a xmlns:s='urn:s' s:n='1'><s:b xmlns='urn:t'/></s:a>",
         {"s:a": {"@xmlns:s": "urn:s", "@s:n": "1", "s:b": {"@xmlns": "urn:t"}}}),
        ("<?xml version='1.0'?><!-- c --><?p i?><a><!-- c -->b<?p i?>c</a>", {"a": "bc"}),
        ("<unbound:a/>", {"unbound:a": ""}),
    ],
)  # fmt: skip
def test_a_document_has_the_documented_shape(xml: str, value: JSON) -> None:
    for content_type in ("application/xml", "text/xml; charset=utf-8", "application/atom+xml"):
        assert parse_body({"content-type": content_type}, xml.encode()) == value


@pytest.mark.parametrize(
    ("content_type", "body", "text"),
    [
        ("text/xml", "<a>é</a>".encode(), "é"),
        ("text/xml", '<?xml version="1.0" encoding="ISO-8859-1"?><a>\xe9</a>'.encode("latin-1"),
         "é"),
        ("text/xml; charset=utf-8", "<?xml version='1.0' encoding='ISO-8859-1'?><a>é</a>".encode(),
         "é"),
        ("text/xml; charset=iso-8859-1", "\ufeff<a>é</a>".encode(), "é"),
        ("text/xml", "<?xml version='1.0' encoding='utf-16'?><a>é</a>".encode("utf-16"), "é"),
    ],
)  # fmt: skip
def test_the_mark_decides_the_character_set_before_the_header_and_that_before_the_declaration(
    content_type: str, body: bytes, text: str
) -> None:
    assert parse_body({"content-type": content_type}, body) == {"a": text}


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"<!DOCTYPE a><a/>", 400, "document type declaration .<!DOCTYPE …>., which is not taken"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', 400, "document type declaration"),
        (b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>', 400, "declaration"),
        (b'<!DOCTYPE a SYSTEM "http://127.0.0.1/x.dtd"><a/>', 400, "document type declaration"),
        (b'<!DOCTYPE a [<!ENTITY % b SYSTEM "http://127.0.0.1/"> %b;]><a/>', 400, "declaration"),
        (b"<a>&b;</a>", 400, "malformed XML body: undefined entity .line 1, column 4"),
        (b"<a>", 400, "malformed XML body: no element found .line 1, column 4"),
        (b"<a>\n</b>", 400, "malformed XML body: mismatched tag .line 2, column 3"),
        (b"<a/><b/>", 400, "malformed XML body: junk after document element"),
        (b"<a b='' b=''/>", 400, "malformed XML body: duplicate attribute"),
        (b"<a>\0</a>", 400, "malformed XML body: not well-formed"),
        (b"<a>&#0;</a>", 400, "malformed XML body: reference to invalid character"),
        (b"<a>&#xD800;</a>", 400, "malformed XML body: reference to invalid character"),
        (b"{}", 400, "malformed XML body"),
        (b"<a>\xe9</a>", 400, "not valid utf-8 .byte 3"),
        (b"<?xml version='1.0' encoding='utf-7'?><a/>", 415, "character set 'utf-7'"),
        (b"<a>" * (XML_DEPTH_MAX + 1), 400, f"nested more than {XML_DEPTH_MAX} elements deep"),
        (b"<a>" + b"<b/>" * XML_NODES_MAX + b"</a>", 400, "more than 100,000 elements and attr"),
        (b"<a>" + b"<b c=''/>" * (XML_NODES_MAX // 2) + b"</a>", 400, "more than 100,000 elem"),
    ],
)  # fmt: skip
def test_what_is_malformed_or_out_of_bounds_is_refused_with_the_reason(
    body: bytes, status: int, words: str
) -> None:
    with pytest.raises(Refused, match=words) as caught:
        parse_body(AS_XML, body)
    assert caught.value.status == status


def test_the_deepest_document_is_within_what_a_body_may_be() -> None:
    """Each element an object in a list, which is the most that it can be."""
    xml = "<b/>"
    for _ in range(XML_DEPTH_MAX - 1):
        xml = f"<b x=''>{xml}<b/></b>"
    value = parse_body(AS_XML, xml.encode())
    refuse_depth(value)
    with pytest.raises(Refused, match="nested"):
        refuse_depth([value, [value]])


def calls(work: Callable[[], object]) -> int:
    """How often Python calls anything while it works."""
    number = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal number
        number += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return number


@pytest.mark.parametrize("unit", ["<b>x</b>", "<b c='d'/>", "x&lt;", "<!-- c -->", "<b>\n</b>\n"])
def test_twice_the_document_is_no_more_than_twice_the_work(unit: str) -> None:
    one, two = (f"<a>{unit * times}</a>".encode() for times in (2000, 4000))
    assert calls(lambda: parse_body(AS_XML, two)) < 2.2 * calls(lambda: parse_body(AS_XML, one))


@given(st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs"))))
def test_text_comes_back_as_it_was_written_but_for_white_space_at_its_ends(text: str) -> None:
    assert parse_body(AS_XML, f"<a>{escape(text)}</a>".encode()) == {"a": text.strip()}
