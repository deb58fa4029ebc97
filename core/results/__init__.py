"""What analyses answer: frozen results that a page shows, a run keeps, and a shared link brings back."""
