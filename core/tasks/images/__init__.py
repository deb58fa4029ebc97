"""Images: models of one normal class, compared with each other, and applied to pictures."""
