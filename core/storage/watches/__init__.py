"""Watches in the database: what is asked, its ticks, the rows that were judged, incidents, announcements."""
