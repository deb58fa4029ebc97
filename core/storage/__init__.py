"""Where things are kept: local files by default, a service where its setting is filled."""
