"""NetMob23: one row per tile and day, 96 quarter-hours of one application's traffic."""

import pandas as pd
from typing_extensions import override

from core.data.ingest.layouts.base import Role, Roles
from core.data.ingest.layouts.daily_profile import DailyProfile
from core.messages import N_


class NetMob(DailyProfile):
    """Daily profiles whose entity is city, service, direction and tile; the unit was never disclosed."""

    name = "netmob"
    label = N_("Mobile traffic of map tiles (NetMob23)")
    summary = N_(
        "One file per day and service, a line per tile; or one file per tile, a line per day; 96 quarter-hours."
    )
    order = 5

    aliases: dict[Role, tuple[str, ...]] = {"time": ("day",), "entity": ("tile",)}

    @override
    def roles(self, table: pd.DataFrame) -> Roles | None:
        return super().roles(table) if list(table.columns[:2]) == ["tile", "day"] else None
