"""The usual slips with secrets and bodies: each variant paired with what to tell the operator if
it turns out that this one would have matched."""

from __future__ import annotations

import json
from collections.abc import Iterator

from daemon.secret import Secret
from daemon.signatures.request import Mismatch

REWRITE_LIMIT = 1024 * 1024
"""Bytes of body above which it is not re-serialised."""

_SIGNING = "whsec_"
"""What the signing secrets of Stripe and Svix begin with."""

_BODY_HINT = (
    "a signature holds for the very bytes that were signed: sign and send the same ones, and let "
    "no proxy, editor or shell rewrite them"
)


def secret_slips(secret: Secret) -> Iterator[tuple[Secret, Mismatch]]:
    """``secret`` as it may have been meant here, then as it may have been set at the sender."""
    value, reference = secret.reveal(), secret.reference
    bare = value.strip()
    if bare not in ("", value):
        yield (
            Secret(bare, reference),
            Mismatch(f"the secret {reference} has white space around it", "take it out"),
        )
    unquoted = bare.strip("\"'")
    if unquoted not in ("", bare):
        yield (
            Secret(unquoted, reference),
            Mismatch(f"the secret {reference} has quotation marks around it", "take them out"),
        )
    if not bare.startswith(_SIGNING):
        yield (
            Secret(_SIGNING + bare, reference),
            Mismatch(
                f"the secret {reference} lacks its beginning {_SIGNING}",
                "that is part of it: paste it as the sender shows it",
            ),
        )
    for ending, name in (("\n", "a newline"), ("\r\n", "a carriage return and newline")):
        yield (
            Secret(bare + ending, reference),
            Mismatch(
                f"the sender's secret ends in {name}, which {reference} does not",
                "set it anew at the sender, without: `printf %s` writes none, `echo` does",
            ),
        )


def body_slips(body: bytes) -> Iterator[tuple[bytes, Mismatch]]:
    """``body`` as it may have been when it was signed, without and with other line ends, and as
    the usual JSON writers would have written it."""
    for before, name in _line_ends(body):
        if before != body:
            yield before, Mismatch(f"the signature is for the body {name}", _BODY_HINT)
    for before, name in _rewritten(body):
        for ending, suffix in ((b"", ""), (b"\n", " with a newline at its end")):
            if before + ending != body:
                yield (
                    before + ending,
                    Mismatch(
                        f"the body was re-serialised: the signature is for it as {name}{suffix}",
                        _BODY_HINT,
                    ),
                )


def _line_ends(body: bytes) -> Iterator[tuple[bytes, str]]:
    yield body.rstrip(b"\r\n"), "without the newline at its end"
    yield body + b"\n", "with a newline at its end"
    unix = body.replace(b"\r\n", b"\n")
    yield unix, "with Unix line ends"
    yield unix.replace(b"\n", b"\r\n"), "with Windows line ends"
    yield body.removeprefix(b"\xef\xbb\xbf"), "without its byte-order mark"


def _rewritten(body: bytes) -> Iterator[tuple[bytes, str]]:
    if len(body) > REWRITE_LIMIT:
        return
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return

    def write(ascii_only: bool, separators: tuple[str, str], indent: int | None = None) -> bytes:
        text = json.dumps(value, ensure_ascii=ascii_only, separators=separators, indent=indent)
        return text.encode("utf-8", "surrogatepass")

    compact, spaced, lined = (",", ":"), (", ", ": "), (",", ": ")
    yield write(False, compact), "compact JSON"
    ascii_only = write(True, compact)
    yield ascii_only, r"compact JSON with \u escapes"
    yield ascii_only.replace(b"/", rb"\/"), r"compact JSON with \u and \/ escapes, as PHP writes it"
    yield write(True, spaced), r"JSON with spaces and \u escapes, as Python writes it"
    yield write(False, spaced), "JSON with spaces"
    yield write(False, lined, 2), "JSON indented by 2"
    yield write(False, lined, 4), "JSON indented by 4"
