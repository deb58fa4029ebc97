"""Recipe of a dataset: the choices about reading its files, and its repairs, as a list of steps in JSON."""

from collections.abc import Mapping
from typing import Any, Protocol

from core.data.quality.findings import Repair
from core.data.read_options import DETECT_ALL, ReadOptions
from core.errors import OptionError
from core.messages import N_
from core.spec.codec import CLASS_KEY, encode
from core.spec.hyperparameters import build_from_settings

READ_STEP = "read"


class Prepared(Protocol):
    """Data that were read from files with choices, and repaired."""

    @property
    def read_options(self) -> ReadOptions:
        """Choices about reading the files."""

    @property
    def recipe(self) -> tuple[Repair, ...]:
        """Repairs applied to the data."""


def list_recipe_steps(data: Prepared) -> list[dict[str, Any]]:
    """Return the recipe as plain JSON: first the choices about reading, if there are any, then the repairs."""
    settings = {name: value for name, value in encode(data.read_options).items() if value and name != CLASS_KEY}
    reading = [{"kind": READ_STEP, "settings": settings}] if settings else []
    return [*reading, *(repair.to_json() for repair in data.recipe)]


def parse_recipe(steps: Any) -> tuple[ReadOptions, tuple[Repair, ...]]:
    """Return the choices about reading and the repairs of a recipe: a list of {"kind", "settings"}.

    Raises OptionError for anything else.

    Example:
        >>> reading, repair = {"kind": "read", "settings": {"unit": "MW"}}, {"kind": "align_times", "settings": {}}
        >>> read_options, repairs = parse_recipe([reading, repair])
        >>> read_options.unit, repairs
        ('MW', (Repair(kind='align_times', settings={}),))
    """
    if not isinstance(steps, list) or not all(isinstance(step, Mapping) and "kind" in step for step in steps):
        raise OptionError(N_('A recipe must be a list of repairs: [{{"kind": …, "settings": {{…}}}}].'))
    read_options = DETECT_ALL
    repairs = []
    for step in steps:
        settings = dict(step.get("settings", {}))
        if step["kind"] == READ_STEP:
            read_options = build_from_settings(ReadOptions, settings | {"roles": tuple(settings.get("roles", ()))})
        else:
            repairs.append(Repair(str(step["kind"]), settings))
    return read_options, tuple(repairs)
