"""Encryption of connections to servers."""

import os
import ssl


def make_tls_context() -> ssl.SSLContext:
    """Return a context that checks certificates, also against the own authority of REQUESTS_CA_BUNDLE."""
    context = ssl.create_default_context()
    own_authority = os.environ.get("REQUESTS_CA_BUNDLE", "")
    if own_authority:
        context.load_verify_locations(own_authority)
    return context
