"""Access to MLflow and CodeCarbon, which no other package imports. Imports neither core nor pages."""
