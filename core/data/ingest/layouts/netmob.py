"""Layout of NetMob23: one row per map tile and day, 96 quarter-hours of the traffic of one application."""

import pandas as pd
from typing_extensions import override

from core.data.columns import Role, Roles
from core.data.ingest.layouts.daily_profile import DailyProfile
from core.messages import N_


class NetMob(DailyProfile):
    """Daily profiles with the entity city, service, direction and tile; the unit is not published.

    Example:
        >>> quarters = {f"{n // 4:02d}:{n % 4 * 15:02d}": [0.0] for n in range(96)}
        >>> traffic = pd.DataFrame({"tile": ["Lyon · Netflix · DL · 1234"], "day": ["2019-03-16"], **quarters})
        >>> columns = NetMob().detect_roles(traffic)
        >>> columns["tile"], columns["day"], columns["23:45"]
        ('entity', 'time', 'measure')
    """

    name = "netmob"
    label = N_("Mobile traffic of map tiles (NetMob23)")
    summary = N_(
        "One file per day and service with one line per tile, or one file per tile with one "
        "line per day. Each line has 96 quarter-hours."
    )
    order = 5

    names_by_role: dict[Role, tuple[str, ...]] = {"time": ("day",), "entity": ("tile",)}

    @override
    def detect_roles(self, table: pd.DataFrame) -> Roles | None:
        return super().detect_roles(table) if list(table.columns[:2]) == ["tile", "day"] else None
