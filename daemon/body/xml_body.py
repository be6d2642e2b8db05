"""XML bodies as objects. Nothing in them can name a file, an address or another entity: a document
type declaration, where all of that would stand, is refused."""

from __future__ import annotations

import re
from xml.sax import SAXParseException
from xml.sax.handler import ContentHandler
from xml.sax.xmlreader import AttributesImpl

from defusedxml import DefusedXmlException
from defusedxml.expatreader import DefusedExpatParser

from daemon.body.content_type import ContentType, decode
from daemon.body.form import object_of
from daemon.body.json_body import DEPTH_MAX
from daemon.errors import Refused
from daemon.expressions import JSON

XML_DEPTH_MAX = DEPTH_MAX // 2
"""Elements within each other: each can be an object within a list, two levels of the value."""

XML_NODES_MAX = 100_000
"""Elements and attributes together. Each is a call from the parser: a body of 25 MiB could make
millions of them, for seconds."""

_DECLARATION = re.compile(rb"<\?xml[^>]{1,200}?encoding\s{0,8}=\s{0,8}[\"']([\w.-]{1,40})[\"']")


def parse_xml(body: bytes, content_type: ContentType) -> JSON:
    """An object with the root element's name and value.

    An element with text alone is that text, without white space at its ends, and an empty one
    ``""``. Any other is an object: its attributes under ``@name``, its children by name (a list
    where one is repeated), its text under ``#text``, if it has any. Names are as they are written,
    with their prefixes, and the declarations of namespaces are attributes like any other. Comments
    and processing instructions are left out.

    Raises Refused: 400 for what is malformed, has a document type declaration, is nested too deep
    or has too many elements; 415 for a character set. Sources: XML 1.0; for the character set
    RFC 7303, 3.
    """
    builder = _Builder()
    parser = DefusedExpatParser(forbid_dtd=True)
    parser.setContentHandler(builder)
    try:
        parser.feed(decode(body, content_type.charset or _declared(body)))
        parser.close()
    except DefusedXmlException:
        raise Refused(
            400,
            "the XML body has a document type declaration (<!DOCTYPE …>), which is not taken, nor "
            "entities of its own; send it without",
        ) from None
    except SAXParseException as error:
        raise Refused(
            400,
            f"malformed XML body: {error.getMessage()} (line {error.getLineNumber()}, column "
            f"{(error.getColumnNumber() or 0) + 1})",
        ) from None
    return builder.document


def _declared(body: bytes) -> str:
    """The character set that the XML declaration names."""
    found = _DECLARATION.match(body)
    return found[1].decode("ascii", "replace").lower() if found else "utf-8"


class _Builder(ContentHandler):
    """Makes the value while the parser goes through the document. ``document`` is what is made."""

    def __init__(self) -> None:
        super().__init__()
        self._nodes = 0
        self._pairs: list[list[tuple[str, JSON]]] = [[]]
        """What was found within each element that is open, outermost first."""
        self._texts: list[list[str]] = [[]]

    @property
    def document(self) -> dict[str, JSON]:
        return object_of(self._pairs[0])

    def startElement(self, name: str, attrs: AttributesImpl) -> None:  # noqa: N802 - SAX's name
        self._nodes += 1 + len(attrs)
        if self._nodes > XML_NODES_MAX:
            raise Refused(
                400,
                f"the XML body has more than {XML_NODES_MAX:,} elements and attributes; send fewer",
            )
        if len(self._pairs) > XML_DEPTH_MAX:
            raise Refused(400, f"the XML body is nested more than {XML_DEPTH_MAX} elements deep")
        self._pairs.append([(f"@{key}", value) for key, value in attrs.items()])
        self._texts.append([])

    def characters(self, content: str) -> None:
        self._texts[-1].append(content)

    def endElement(self, name: str) -> None:  # noqa: N802 - SAX's name
        pairs, text = self._pairs.pop(), "".join(self._texts.pop()).strip()
        if pairs and text:
            pairs.append(("#text", text))
        self._pairs[-1].append((name, object_of(pairs) if pairs else text))
