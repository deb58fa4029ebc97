"""From files to a `Dataset`: readers, layouts, the data doctor, repairs, samples."""
