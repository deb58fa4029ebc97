"""The verbs, one a file, named as the pages that ask them. Read these first."""
