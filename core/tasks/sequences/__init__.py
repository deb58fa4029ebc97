"""Sequences: which moments of many series are abnormal, and what the threshold promises."""
