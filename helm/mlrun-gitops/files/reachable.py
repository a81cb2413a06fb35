"""`helm test`: through its Service, the service is ready, keeps strangers from its API, and knows no webhook of theirs."""

import sys
import urllib.error
import urllib.request


def status(path: str, body: bytes | None = None) -> int:
    request = urllib.request.Request(sys.argv[1] + path, data=body, headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        return refused.code


found = [
    ("/readyz", status("/readyz"), 200),
    ("/api/v1/projects", status("/api/v1/projects"), 401),
    ("/webhooks/generic/nobody", status("/webhooks/generic/nobody", b"{}"), 401),
]
for path, got, wanted in found:
    print(f"{'good' if got == wanted else 'BAD '} {path} answers {got}, as expected {wanted}")
sys.exit(any(got != wanted for _, got, wanted in found))
