"""Random tokens that only browsers have; the tables contain their hashes."""

import hashlib

TOKEN_BYTES = 32  # bytes of randomness


def hash_token(token: str) -> str:
    """Return the hash under which the owner of a token is stored."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
