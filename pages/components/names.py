"""Names of files and runs in links and captions."""

from pages.components.markdown import escape_markdown

MAX_NAME_CHARACTERS = 60


def shorten_name(name: str) -> str:
    r"""Return a name for one or two lines, with the characters escaped that Markdown reads as markup.

    Example:
        >>> shorten_name("load_[a].csv"), len(shorten_name("x" * 100))
        ('load\\_\\[a\\].csv', 60)
    """
    return escape_markdown(name if len(name) <= MAX_NAME_CHARACTERS else name[: MAX_NAME_CHARACTERS - 1] + "…")
