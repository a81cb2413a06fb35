"""The routes, a noun a module; each module's `add` puts its routes on the blueprint."""
