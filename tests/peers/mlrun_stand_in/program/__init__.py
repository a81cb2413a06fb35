"""The server itself; Python 3.9 and mlrun, nothing of ours. `rules` says what it takes, `__main__` speaks HTTP."""
