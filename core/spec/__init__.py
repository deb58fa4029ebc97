"""What a task is made of: fields with bounds, specs, their JSON, and the registry of tasks."""
