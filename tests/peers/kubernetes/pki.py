"""The cluster's certificates: one authority that lasts a day, and the keys that sign service accounts' tokens."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import json
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LASTS = datetime.timedelta(days=1)
_PEM = serialization.Encoding.PEM


@dataclass(frozen=True)
class Identity:
    """A certificate and its key, as files."""

    certificate: Path
    key: Path


class Authority:
    """Issues what the programs of a cluster show each other; everything lies in `folder`, readable by its owner."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True)
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("peers' authority")
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        authority = self._draft(self._name, self._key.public_key())
        authority = authority.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        authority = authority.add_extension(usage, critical=True)
        self.certificate = self._write("ca.crt", authority.sign(self._key, hashes.SHA256()).public_bytes(_PEM))
        signer = rsa.generate_private_key(65537, 2048)
        self.token_key = self._write("tokens.key", _private(signer))
        public = signer.public_key().public_bytes(_PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        self.token_public = self._write("tokens.pub", public)

    def issue(self, stem: str, name: str, *, groups: tuple[str, ...] = (), hosts: tuple[str, ...] = ()) -> Identity:
        """For a client or a server: `name` and `groups` are who it is, `hosts` the names and addresses it serves at."""
        key = ec.generate_private_key(ec.SECP256R1())
        uses = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        draft = self._draft(_name(name, *groups), key.public_key()).add_extension(uses, critical=False)
        if hosts:
            draft = draft.add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False)
        certificate = draft.sign(self._key, hashes.SHA256()).public_bytes(_PEM)
        return Identity(self._write(f"{stem}.crt", certificate), self._write(f"{stem}.key", _private(key)))

    def kubeconfig(self, path: Path, server: str, user: Identity | str, *, namespace: str = "default") -> Path:
        """A kubeconfig at `path` for the holder of a certificate, or of a token. JSON is YAML."""
        if isinstance(user, str):
            credentials = {"token": user}
        else:
            credentials = {
                "client-certificate-data": _base64(user.certificate),
                "client-key-data": _base64(user.key),
            }
        cluster = {"server": server, "certificate-authority-data": _base64(self.certificate)}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "peer",
            "clusters": [{"name": "peer", "cluster": cluster}],
            "users": [{"name": "peer", "user": credentials}],
            "contexts": [{"name": "peer", "context": {"cluster": "peer", "user": "peer", "namespace": namespace}}],
        }
        path.touch(mode=0o600)
        path.write_text(json.dumps(document))
        return path

    def _draft(self, name: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=5))
            .not_valid_after(now + _LASTS)
        )

    def _write(self, name: str, content: bytes) -> Path:
        path = self._folder / name
        path.touch(mode=0o600)
        path.write_bytes(content)
        return path


def _name(name: str, *groups: str) -> x509.Name:
    """Kubernetes reads the user from the common name and the groups from the organisations."""
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _private(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    # Kubernetes 1.20 reads PKCS#1 for RSA and SEC 1 for EC alike under this name.
    plain = serialization.NoEncryption()
    return key.private_bytes(_PEM, serialization.PrivateFormat.TraditionalOpenSSL, plain)


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
