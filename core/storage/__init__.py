"""Storage: local files by default, or a service if its setting is filled."""
