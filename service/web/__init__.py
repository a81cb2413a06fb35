"""Everything that speaks HTTP: webhooks, the REST API, health. The one room that knows Flask."""
