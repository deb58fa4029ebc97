"""Texts that a file or a person brought, shown as plain text within Markdown."""

import re


def escape_markdown(text: str) -> str:
    r"""Return `text` so that Markdown shows it as it is.

    Example:
        >>> print(escape_markdown("load_[kW]"))
        load\_\[kW\]
    """
    return re.sub(r"([\\`*_\[\]$~<>#!|]|:(?=[a-z_/]))", r"\\\1", text)  # a colon begins an icon, a colour or an address
