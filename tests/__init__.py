"""The tests; real files, real servers, a real browser."""
