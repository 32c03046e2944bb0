"""A certificate that nobody has signed, for tests of what a client makes of one."""

import shutil
import subprocess
from pathlib import Path

__all__ = ["certificate"]


def certificate(folder: Path) -> tuple[Path, Path] | None:
    """Make a certificate for 127.0.0.1 and its key, or nothing where there is no openssl."""
    openssl = shutil.which("openssl")
    if openssl is None:
        return None
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"),
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-addext", "subjectAltName = IP:127.0.0.1"),
            *("-out", str(cert), "-keyout", str(key)),
        ],
        check=True,
        capture_output=True,
    )
    return cert, key
