"""Style of the figures (`style`), and the figure of repairs (`repairs`)."""
