"""Readers, layouts, data doctor, repairs and samples: from files to a `Dataset`."""
