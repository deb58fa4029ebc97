"""Many series from a folder of files, scored batch by batch; what is finished stays finished."""
