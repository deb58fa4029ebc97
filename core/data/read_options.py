"""Choices of a person about how files are read."""

from collections.abc import Mapping
from dataclasses import dataclass

from core.data.columns import ROLES, Role, Roles
from core.errors import OptionError
from core.messages import N_
from core.spec.command_line import build_options
from core.spec.hyperparameters import check_hyperparameters, hyperparameter

DATE_ORDERS = {"day first": "dmy", "month first": "mdy", "year first": "ymd"}
DECIMAL_MARKS = {"point": ".", "comma": ","}


@dataclass(frozen=True)
class ReadOptions:
    """Choices that replace what is detected in a file; an empty field is detected.

    The fields are the options of every command that reads files, and the widgets on the page *Load data*. They are
    stored with the dataset.

    Example:
        >>> options = ReadOptions(roles=("meter=entity",), decimal_mark="comma")
        >>> options.role_by_column, options.is_empty
        ({'meter': 'entity'}, False)
    """

    layout: str = hyperparameter(
        "",
        help=N_("Layout of the files, if the detected one is wrong: tidy_series, wide_series …"),
        label=N_("Layout"),
        metavar="NAME",
    )
    roles: tuple[str, ...] = hyperparameter(
        (),
        help=N_(
            "Role of a column, if the detected one is wrong: time, entity, measure, label, ignore … The option can be "
            "repeated."
        ),
        label=N_("Roles"),
        flag="--role",
        metavar="COLUMN=ROLE",
    )
    unit: str = hyperparameter(
        "", help=N_("Unit of the measurements, if it is not in the file."), label=N_("Unit"), metavar="UNIT"
    )
    decimal_mark: str = hyperparameter(
        "",
        help=N_("Decimal mark of numbers with two readings, such as 1.234."),
        label=N_("Decimal mark"),
        choices=("", *DECIMAL_MARKS),
        words={"": N_("from the file"), "point": N_("point: 1.5"), "comma": N_("comma: 1,5")},
    )
    date_order: str = hyperparameter(
        "",
        help=N_("Order of day, month and year in dates with two readings, such as 03/04/2024."),
        label=N_("Order of dates"),
        choices=("", *DATE_ORDERS),
        words={
            "": N_("from the file"),
            "day first": N_("day first: 31/12/2024"),
            "month first": N_("month first: 12/31/2024"),
            "year first": N_("year first: 24/12/31"),
        },
    )
    sheet: str = hyperparameter(
        "", help=N_("Sheet of a workbook, if the first one with measurements is wrong."), label=N_("Sheet")
    )
    zone: str = hyperparameter(
        "",
        help=N_(
            "Time zone of the local clock, such as Europe/Paris or UTC. Timestamps with an offset are converted to it. "
            "Others are read as local times."
        ),
        label=N_("Time zone"),
        metavar="ZONE",
    )

    @property
    def is_empty(self) -> bool:
        """True if nothing was chosen."""
        return self == ReadOptions()

    @property
    def role_by_column(self) -> Roles:
        """Role of every column that a person decided. Raises OptionError for another form than COLUMN=ROLE."""
        role_by_column: dict[str, Role] = {}
        for text in self.roles:
            column, equals, role = text.rpartition("=")
            if not equals or role not in ROLES:
                raise OptionError(
                    N_("{name} = {value!r} is not accepted. Accepted: {accepted}."),
                    name="--role",
                    value=text,
                    accepted=f"COLUMN=ROLE, with one of {', '.join(ROLES)}",
                )
            role_by_column[column] = role
        return role_by_column

    def check(self) -> None:
        """Raise OptionError for a value that is not accepted."""
        check_hyperparameters(self)
        _ = self.role_by_column

    def to_arguments(self) -> list[str]:
        """Return the options of the command line that make these choices.

        Example:
            >>> ReadOptions(roles=("meter=entity",), decimal_mark="comma").to_arguments()
            ['--role=meter=entity', '--decimal-mark=comma']
        """
        return build_options(self)


def format_roles(role_by_column: Mapping[str, str]) -> tuple[str, ...]:
    """Return the roles of columns as the field `roles` holds them.

    Example:
        >>> format_roles({"meter": "entity"})
        ('meter=entity',)
    """
    return tuple(f"{column}={role}" for column, role in role_by_column.items())


DETECT_ALL = ReadOptions()
"""No choices: everything is detected."""
