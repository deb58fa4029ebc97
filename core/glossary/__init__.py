"""Terms that people see on the pages, each with a line of help, an explanation and a picture."""
