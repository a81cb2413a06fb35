"""Git: one bare mirror a repository, and what the service wants to know of it.

`Source` (`front`) is asked by everybody else. A fetch brings a mirror up to date; everything else reads the mirror and needs no
network, except that a mirror found broken is cloned anew on the spot. Behind it, in the order in which a push meets them:

- `address` and `credentials` say how a repository is reached, `git` runs git, and `mirror` keeps what it brings, the only writer
  there is; `tips` is what a fetch found, `failures` what git's words mean where it failed. `mirrors` has them at hand and heals.
- `objects` reads a mirror without a git for each question, `tree` looks into one commit, `history` between two.
- `manifest` looks through what a commit would write. Then `checkout` writes it into a folder (by `files`, or from a `spare`), or
  `tarball` into an `archive`.
- `workshop` is where this process has what must not outlive it.

Apart from all that, `folder` is somebody's clone on this machine, for a plan of it, and `version` the git that is here.
"""

from service.source.archive import Archive
from service.source.checkout import Checkout
from service.source.folder import Folder, folder_at, work_tree_of
from service.source.front import Source
from service.source.history import Commit
from service.source.tips import Tips
from service.source.tree import Entry, Kind
from service.source.version import git_version

__all__ = [
    "Archive",
    "Checkout",
    "Commit",
    "Entry",
    "Folder",
    "Kind",
    "Source",
    "Tips",
    "folder_at",
    "git_version",
    "work_tree_of",
]
