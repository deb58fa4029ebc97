"""Detectors of images: models of one normal class, one file each."""
