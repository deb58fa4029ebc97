"""Clusters: which days, or which entities, are alike."""
