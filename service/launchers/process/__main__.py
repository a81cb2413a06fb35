"""`python -m service.launchers.process` installs the runner environment and prints its interpreter."""

import sys

from service.launchers.process.environment import main

sys.exit(main())
