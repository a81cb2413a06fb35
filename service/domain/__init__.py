"""The decisions, pure: plain frozen dataclasses in, plain frozen dataclasses out, no I/O."""
