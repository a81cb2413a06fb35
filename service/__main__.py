"""`python -m service` is `mlrun-gitops`."""

from service.cli import main

if __name__ == "__main__":
    main()
