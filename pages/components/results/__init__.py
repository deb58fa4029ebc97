"""Results of the tasks, one module per kind; `run_widgets` has the shared widgets."""
