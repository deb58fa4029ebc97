"""Parts of the page *Watch*: incidents, watches, the form of a watch, replay, recipients."""
