"""Documents as one self-contained HTML file: the templates in `templates/`, which escape all text."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).with_name("templates")


def render_document(template: str, **values: Any) -> str:
    """Return the document of the file `template`; its text values are escaped."""
    return _load_environment().get_template(template).render(values)


@cache
def _load_environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
