"""Task clusters: group similar days or entities."""
