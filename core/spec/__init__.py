"""Specs of tasks: fields with bounds, conversion to JSON and to a command line, and the registry of tasks."""
