"""The Slack handler in front of a Slack that misbehaves: whatever happens, people are told once."""
