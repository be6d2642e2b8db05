"""Public keys as vendors hand them out, ed25519 and ECDSA on P-256, and what they verify. The
library that does so is imported with the first of them: most configs have none."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence

from daemon.secret import Secret
from daemon.signatures.request import Mismatch

Check = Callable[[bytes, bytes], bool]
"""Whether (signature, message) is right for one key. Neither is a secret, and nor is the key: such
a check need not take the same time for all."""

_HEX_KEY = re.compile(r"[0-9A-Fa-f]{64}")

_FIELD = 2**255 - 19
_SMALL_ORDER = frozenset(
    {
        0,
        1,
        _FIELD - 1,
        _FIELD,
        _FIELD + 1,
        0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
        0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,
    }
)
"""The y of ed25519 points for which anybody can make signatures, a key of zeros among them. OpenSSL
takes such keys, libsodium does not."""


def base64_bytes(text: str) -> bytes:
    """What ``text`` is the base64 of; empty where it is not base64, or not as an encoder writes it:
    one value has one spelling."""
    try:
        value = base64.b64decode(text, validate=True)
    except ValueError:
        return b""
    return value if base64.b64encode(value).decode() == text else b""


def hex_ed25519(secret: Secret) -> Check | None:
    """The check of a key that is 64 hex digits; None where it is something else."""
    text = secret.reveal().strip()
    return _ed25519(bytes.fromhex(text) if _HEX_KEY.fullmatch(text) else b"")


def base64_ed25519(secret: Secret, prefix: str) -> Check | None:
    """The check of a key that is ``prefix`` and the base64 of 32 bytes; None where it is something
    else."""
    text = secret.reveal().strip()
    return _ed25519(base64_bytes(text.removeprefix(prefix)) if text.startswith(prefix) else b"")


def _ed25519(key: bytes) -> Check | None:
    if len(key) != 32 or int.from_bytes(key, "little") % 2**255 in _SMALL_ORDER:
        return None
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    public = Ed25519PublicKey.from_public_bytes(key)

    def is_right(signature: bytes, message: bytes) -> bool:
        try:
            public.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    return is_right


def der_p256(secret: Secret) -> Check | None:
    """The check of a key on the curve P-256 that is base64 of its DER (SubjectPublicKeyInfo); None
    where it is something else. Signatures are DER too, over SHA-256."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        public = load_der_public_key(base64_bytes(secret.reveal().strip()))
    except (ValueError, UnsupportedAlgorithm):
        return None
    if not isinstance(public, ec.EllipticCurvePublicKey):
        return None
    if not isinstance(public.curve, ec.SECP256R1):
        return None

    def is_right(signature: bytes, message: bytes) -> bool:
        try:
            public.verify(signature, message, ec.ECDSA(SHA256()))
        except InvalidSignature:
            return False
        return True

    return is_right


def no_public_key(secrets: Sequence[Secret], expected: str) -> Mismatch:
    """The refusal where none of ``secrets`` is a public key; ``expected`` is how one looks."""
    if not secrets:
        return Mismatch(
            "there is no public key to check against",
            "without one every request is refused; see that the entry's `secret` resolves",
        )
    references = ", ".join(secret.reference for secret in secrets)
    return Mismatch(f"the secret {references} is not a public key that can be used", expected)
