"""Call detail records: reading, counts per interval and trunk, simulation."""
