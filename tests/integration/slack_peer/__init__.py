"""The stand-in for Slack: first passed by slack-sdk itself, and shown to refuse what the real one refuses."""
