"""Drivers known in advance: weather, strikes, public holidays, school breaks; read from files, joined by region and
day.
"""

from core.data.drivers.joining import joined
from core.data.drivers.known import Drivers, Join
from core.data.drivers.reading import read_drivers
from core.data.drivers.tables import DriverTable

__all__ = ["DriverTable", "Drivers", "Join", "joined", "read_drivers"]
