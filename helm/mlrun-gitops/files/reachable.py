"""`helm test`: through its Service, the service is ready and keeps strangers from its API."""

import sys
import urllib.error
import urllib.request


def status(path: str) -> int:
    try:
        with urllib.request.urlopen(sys.argv[1] + path, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        return refused.code


found = [
    ("/readyz", status("/readyz"), 200),
    ("/api/v1/projects", status("/api/v1/projects"), 401),
]
for path, got, wanted in found:
    print(f"{'good' if got == wanted else 'BAD '} {path} answers {got}, as expected {wanted}")
sys.exit(any(got != wanted for _, got, wanted in found))
