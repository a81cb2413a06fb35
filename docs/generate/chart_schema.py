"""values.schema.json of the chart: helm refuses a value of the wrong kind, and a key that does not exist.

The kinds follow from the defaults in values.yaml; where those do not tell enough, `_KINDS` does. `config` follows from the
settings, so that a misspelled setting is refused before anything is installed; what a value may be, the service checks.
"""

from __future__ import annotations

import json
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

from docs.generate import chart_values
from docs.generate.markdown import sentence
from service.settings import Settings
from service.settings.shape import entry, is_mapping, is_secret, members
from service.settings.shape import section as section_of

Json = dict[str, Any]

_TEXT: Json = {"type": "string"}
_OPEN: Json = {"type": "object"}  # an object of Kubernetes, which looks at it itself
_COUNT: Json = {"type": "integer", "minimum": 1}
_PORT: Json = {"type": "integer", "minimum": 1, "maximum": 65535}
_QUANTITY: Json = {"type": ["string", "number"], "pattern": r"^\d+(\.\d+)?([EPTGMk]i?|m)?$"}
_KEY: Json = {"type": "string", "pattern": r"^[-._a-zA-Z0-9]+$"}
_NAME: Json = {"type": "string", "pattern": r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"}
_WAY: Json = {"type": "string", "pattern": "^/"}


def _words(*choices: str) -> Json:
    return {"enum": list(choices)}


def _list(of: Json, least: int = 0) -> Json:
    return {"type": "array", "items": of, **({"minItems": least} if least else {})}


def _map(of: Json) -> Json:
    return {"type": "object", "additionalProperties": of}


def _keys(needed: str = "", /, **keys: Json) -> Json:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": keys,
        **({"required": needed.split()} if needed else {}),
    }


_PORTS = _list(_keys(port={"type": ["integer", "string"]}, endPort=_PORT, protocol=_words("TCP", "UDP", "SCTP")))
_PEERS = _list(
    _keys(
        ipBlock=_keys("cidr", **{"cidr": _TEXT, "except": _list(_TEXT)}),
        namespaceSelector=_OPEN,
        podSelector=_OPEN,
    )
)
_EGRESS = _list(_keys(to=_PEERS, ports=_PORTS))
# What pod security "restricted" lets a pod mount.
_VOLUMES = "configMap csi downwardAPI emptyDir ephemeral persistentVolumeClaim projected secret"

_KINDS: dict[str, Json] = {
    "labels": _map(_TEXT),
    "annotations": _map(_TEXT),
    "nameOverride": {"type": "string", "pattern": "^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$"},
    "fullnameOverride": {"type": "string", "pattern": "^([a-z]([-a-z0-9]*[a-z0-9])?)?$"},
    "image.repository": {"type": "string", "pattern": r"^(?:[\w.-]+(?::\d+)?/)?[\w./-]*$"},
    "image.tag": {"type": "string", "pattern": r"^(?:\w[\w.-]{0,127})?$"},
    "image.digest": {"type": "string", "pattern": "^(?:sha256:[0-9a-f]{64})?$"},
    "image.pullPolicy": _words("Always", "IfNotPresent", "Never"),
    "image.pullSecrets": _list(_NAME),
    "secrets": {
        "type": "object",
        "additionalProperties": False,
        "patternProperties": {
            "^[a-z0-9]([-a-z0-9]{0,50}[a-z0-9])?$": _keys("existingSecret", existingSecret=_NAME, items=_list(_KEY, 1))
        },
    },
    "auth.tokens": _list(_KEY),
    "store.kind": _words("sqlite", "postgresql"),
    "store.postgresql.key": _KEY,
    "mlrun.api": {"type": "string", "pattern": "^(https?://.+)?$"},
    "mlrun.namespaces": _list({"type": "string", "minLength": 1}),
    "persistence.accessModes": _list(_words("ReadWriteOnce", "ReadWriteOncePod", "ReadWriteMany"), 1),
    "persistence.size": _QUANTITY,
    "persistence.annotations": _map(_TEXT),
    "runner.namespaces": _list({"type": "string", "minLength": 1}),
    "runner.serviceAccount.annotations": _map(_TEXT),
    "runner.networkPolicy.egress": _EGRESS,
    "serviceAccount.annotations": _map(_TEXT),
    "replicas": {"type": "integer", "minimum": 0},
    "podDisruptionBudget.maxUnavailable": {"type": ["integer", "string"], "minimum": 1, "pattern": r"^[1-9]\d?%$"},
    "service.type": _words("ClusterIP", "NodePort", "LoadBalancer"),
    "containerPort": {"type": "integer", "minimum": 1024, "maximum": 65535},
    "healthPort": {"type": "integer", "minimum": 1024, "maximum": 65535},
    "service.port": _PORT,
    "service.nodePort": {"type": "integer", "minimum": 0, "maximum": 65535},
    "service.annotations": _map(_TEXT),
    "ingress.paths": _list(_WAY, 1),
    "ingress.annotations": _map(_TEXT),
    "httpRoute.parentRefs": _list(
        _keys("name", name=_TEXT, namespace=_TEXT, sectionName=_TEXT, port=_PORT, group=_TEXT, kind=_TEXT)
    ),
    "httpRoute.hostnames": _list(_TEXT),
    "httpRoute.paths": _list(_WAY, 1),
    "httpRoute.annotations": _map(_TEXT),
    "networkPolicy.ingressFrom": _PEERS,
    "networkPolicy.egress": _EGRESS,
    "resources": _keys(requests=_map(_QUANTITY), limits=_map(_QUANTITY), claims=_list(_OPEN)),
    "podSecurityContext": _keys(runAsUser=_COUNT, runAsGroup=_COUNT, fsGroup=_COUNT),
    "nodeSelector": _map(_TEXT),
    "tolerations": _list(
        _keys(key=_TEXT, operator=_TEXT, value=_TEXT, effect=_TEXT, tolerationSeconds={"type": "integer"})
    ),
    "affinity": _keys(nodeAffinity=_OPEN, podAffinity=_OPEN, podAntiAffinity=_OPEN),
    "topologySpreadConstraints": _list(
        _keys(
            "maxSkew topologyKey whenUnsatisfiable",
            maxSkew=_COUNT,
            topologyKey=_TEXT,
            whenUnsatisfiable=_words("DoNotSchedule", "ScheduleAnyway"),
            labelSelector=_OPEN,
            minDomains=_COUNT,
            matchLabelKeys=_list(_TEXT),
            nodeAffinityPolicy=_TEXT,
            nodeTaintsPolicy=_TEXT,
        )
    ),
    "podLabels": _map(_TEXT),
    "podAnnotations": _map(_TEXT),
    "extraEnv": _list(_keys("name", name=_TEXT, value=_TEXT, valueFrom=_OPEN)),
    "extraVolumes": _list(_keys("name", name=_TEXT, **dict.fromkeys(_VOLUMES.split(), _OPEN))),
    "extraVolumeMounts": _list(
        _keys(
            "name mountPath",
            name=_TEXT,
            mountPath=_TEXT,
            subPath=_TEXT,
            readOnly={"type": "boolean"},
        )
    ),
    "serviceMonitor.interval": {"type": "string", "pattern": r"^\d+(s|m)$"},
    "serviceMonitor.labels": _map(_TEXT),
}


def text() -> str:
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def schema() -> Json:
    remarks = {".".join(value.path): value.remark for value in chart_values.read()}
    whole = _object(chart_values.defaults(), "", remarks)
    whole["properties"]["config"] = _settings(Settings) | {"description": remarks["config"]}
    # Of a parent chart: what it shares, and its condition.
    whole["properties"] |= {"global": {"type": "object"}, "enabled": {"type": "boolean"}}
    return {"$schema": "http://json-schema.org/draft-07/schema#", "title": "mlrun-gitops", **whole}


def _object(values: Json, path: str, remarks: dict[str, str]) -> Json:
    return _keys(**{key: _value(value, f"{path}.{key}".lstrip("."), remarks) for key, value in values.items()})


def _value(value: Any, path: str, remarks: dict[str, str]) -> Json:
    said = {"description": remarks[path]} if path in remarks else {}
    if path in _KINDS:
        return _KINDS[path] | said
    match value:
        case bool():
            return {"type": "boolean"} | said
        case int():
            return {"type": "integer", "minimum": 1} | said
        case str():
            return _TEXT | said
        case dict() if value or path == "config":
            return _object(value, path, remarks) | said
    raise ValueError(f"values.yaml: {path}: a default of {value!r} does not tell its kind; say it in _KINDS")


def _settings(model: type[BaseModel]) -> Json:
    """The keys of a section; a section, list or mapping below may be given as the service's own readers take it."""
    properties: Json = {}
    for key, field in model.model_fields.items():
        properties[key] = _setting(field.annotation) | (
            {"description": said} if (said := sentence(field.description)) else {}
        )
        if is_secret(field.annotation):
            properties[f"{key}_file"] = {"type": "string", "description": f"The file that holds `{key}`."}
    if "webhook_secrets" in properties:
        properties["insecure"] = {"type": "boolean", "description": "Accept unsigned webhooks."}
    return {
        "type": "object",
        "properties": properties,
        # A handler's own options are known to the handler.
        "additionalProperties": model.model_config.get("extra") == "allow",
    }


def _setting(annotation: Any) -> Json:
    kinds = [kind for kind in members(annotation) if kind is not type(None)]
    inner = entry(annotation)
    if len(kinds) != 1:
        return {}
    if (below := section_of(annotation)) is not None:
        return _settings(below)
    if inner is not None and is_mapping(annotation):
        return _map(_setting(inner))
    if inner is not None and section_of(inner) is not None:
        # A token of the API may be a plain text; the checks of the chart refuse it.
        return _list(_setting(inner) if not is_secret_text(inner) else {"anyOf": [_setting(inner), _TEXT]})
    if get_origin(kinds[0]) is Literal:
        return _words(*get_args(kinds[0]))
    return {}


def is_secret_text(annotation: Any) -> bool:
    """Whether an entry that is a section may be given as its secret alone."""
    below = section_of(annotation)
    return below is not None and set(below.model_fields) == {"name", "token"}
