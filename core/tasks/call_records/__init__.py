"""Call records task: counts of calls from raw records, and cleaning of such counts."""
