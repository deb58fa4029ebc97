"""Images: sets of equally sized pictures, how files become one, and how they are divided for one-class models."""
