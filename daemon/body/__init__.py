"""A request's bytes as the value that expressions see under ``body``: JSON, a form, XML or text,
compressed or not, always within bounds."""

from daemon.body.compression import content_codings
from daemon.body.content_type import media_type_of
from daemon.body.fitting import fit_text
from daemon.body.form import FORM_FIELDS_MAX
from daemon.body.json_body import DEPTH_MAX, is_json
from daemon.body.parse import parse_body, parse_json

__all__ = [
    "DEPTH_MAX",
    "FORM_FIELDS_MAX",
    "content_codings",
    "fit_text",
    "is_json",
    "media_type_of",
    "parse_body",
    "parse_json",
]
