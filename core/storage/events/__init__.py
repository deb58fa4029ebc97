"""The event log: JSON lines in the data folder, copied to Elasticsearch where one is set."""
