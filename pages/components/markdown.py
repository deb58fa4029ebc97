"""Texts that a file or a person brought, shown as plain text within Markdown."""

import re


def escape_markdown(text: str) -> str:
    r"""Return `text` so that Markdown shows it as it is.

    Example:
        >>> print(escape_markdown("load_[kW]"))
        load\_\[kW\]
    """
    return re.sub(r"([\\`*_\[\]$~<>#!|]|:(?=[a-z_/]))", r"\\\1", text)  # a colon begins an icon, a colour or an address


def format_code(text: str) -> str:
    """Return `text`, such as an id or an address, as code of Markdown.

    Example:
        >>> print(format_code("0a1b"), format_code("a`b"))
        `0a1b` `a'b`
    """
    return f"`{text.replace('`', chr(39))}`"
