"""Row detectors, one per file; each file of this folder is found by itself."""
