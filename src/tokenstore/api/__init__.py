"""The REST API v1.0: one module per resource. Views parse, call a service and answer."""
