"""What the chart can be asked for, each on its own over the least that it takes; named by what it turns on or off."""

from __future__ import annotations

from tests.integration.chart.helm import MONITORS, POSTGRES, ROUTES, Document, over

_HOST = "gitops.example.com"
_SELECTOR = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress-nginx"}}}

FEATURES: dict[str, Document] = {
    "nothing more": {},
    "names of the operator's": {"fullnameOverride": "pushes", "nameOverride": "x"},
    "labels and annotations": {"labels": {"team": "ml"}, "annotations": {"owner": "ada"}, "podLabels": {"tier": "one"}},
    "digest": {"image": {"digest": f"sha256:{'a' * 64}", "tag": "1.2.3", "pullPolicy": "Always"}},
    "pull secrets": {"image": {"pullSecrets": ["registry", "other"]}},
    "two secrets": {"secrets": {"forge": {"existingSecret": "a"}, "slack": {"existingSecret": "b", "items": ["bot"]}}},
    "no volume": {"persistence": {"enabled": False, "ephemeral": True}},
    "a claim of the operator's": {"persistence": {"existingClaim": "mine"}},
    "a claim that stays": {
        "persistence": {"keep": True, "storageClass": "fast", "size": "20Gi", "annotations": {"a": "b"}}
    },
    "runners elsewhere": {"runner": {"namespaces": ["one", "two", "{{ .Release.Namespace }}"]}},
    "runners' namespaces made": {"runner": {"namespaces": ["one", "two"], "createNamespaces": True}},
    "runners' account of the operator's": {"runner": {"serviceAccount": {"create": False, "name": "theirs"}}},
    "runners' network open": {"runner": {"networkPolicy": {"enabled": False}}},
    "runners' network narrow": {
        "runner": {
            "networkPolicy": {"egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "ports": [{"port": 443}]}]}
        }
    },
    "rights by somebody else": {"rbac": {"create": False}},
    "account of the operator's": {"serviceAccount": {"create": False, "name": "mine"}},
    "account of a cloud": {"serviceAccount": {"annotations": {"iam": "x"}}},
    "scaled to nothing": {"replicas": 0},
    "waiting": {"maintenance": True},
    "node port": {"service": {"type": "NodePort", "nodePort": 30080, "port": 8000, "annotations": {"a": "b"}}},
    "another port": {"containerPort": 18080},
    "load balancer": {"service": {"type": "LoadBalancer"}},
    "ingress": {"ingress": {"enabled": True, "host": _HOST}},
    "ingress with all": {
        "ingress": {
            "enabled": True,
            "host": _HOST,
            "className": "nginx",
            "tlsSecret": "tls",
            "paths": ["/webhooks/", "/api/"],
            "annotations": {"a": "b"},
        }
    },
    "route": {
        "httpRoute": {
            "enabled": True,
            "hostnames": [_HOST],
            "parentRefs": [{"name": "public", "namespace": "gateways"}],
            "annotations": {"a": "b"},
        }
    },
    "network open": {"networkPolicy": {"enabled": False}},
    "network narrow": {"networkPolicy": {"ingressFrom": [_SELECTOR], "egress": [{"to": [_SELECTOR]}]}},
    "network narrow, with MLRun": {
        "mlrun": {"api": "http://mlrun-api.mlrun.svc:8080", "namespaces": ["mlrun", "{{ .Release.Namespace }}"]},
        "networkPolicy": {"ingressFrom": [_SELECTOR]},
    },
    "resources of the operator's": {"resources": {"requests": {"cpu": 1, "memory": "1Gi"}, "limits": {"cpu": "2"}}},
    "patient probes": {"probes": {"startup": 601, "period": 30, "timeout": 9, "failures": 9}},
    "ids of OpenShift's": {"podSecurityContext": {"runAsUser": None, "runAsGroup": None, "fsGroup": None}},
    "placed": {
        "priorityClassName": "high",
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "ml", "operator": "Exists", "effect": "NoSchedule"}],
        "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
    },
    "not spread": {"topologySpreadConstraints": []},
    "spread by zone": {
        "topologySpreadConstraints": [
            {
                "maxSkew": 2,
                "topologyKey": "zone",
                "whenUnsatisfiable": "DoNotSchedule",
                "labelSelector": {"matchLabels": {"x": "y"}},
            }
        ]
    },
    "more of everything": {
        "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
        "extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}],
        "extraVolumeMounts": [{"name": "ca", "mountPath": "/etc/ssl/corporate", "readOnly": True}],
        "podAnnotations": {"sidecar": "false"},
    },
    "MLRun's API": {"mlrun": {"api": "http://mlrun-api.mlrun.svc:8080"}},
    "MLRun's API by token": {
        "mlrun": {
            "api": "https://mlrun.example.com",
            "existingSecret": "mlrun",
            "tokenKey": "service",
            "runnerTokenKey": "runner",
        }
    },
    "MLRun's API by access key": {
        "mlrun": {"api": "https://mlrun.example.com", "existingSecret": "mlrun", "accessKeyKey": "V3IO_ACCESS_KEY"}
    },
    "monitored": {"serviceMonitor": {"enabled": True, "interval": "1m", "labels": {"release": "prometheus"}}},
    "settings of all kinds": {
        "config": {
            "server": {"public_url": "https://gitops.example.com", "threads": 64},
            "auth": {"tokens": [{"name": "ci", "token_file": "/etc/mlrun-gitops/auth/ci"}]},
            "launcher": {"run_timeout": 86400000, "concurrency": 100},
        }
    },
}
_SEVERAL: dict[str, Document] = {
    "postgres": {},
    "postgres, several pods": {"replicas": 3, "podDisruptionBudget": {"enabled": True, "maxUnavailable": 1}},
    "postgres, drained by a share": {"replicas": 3, "podDisruptionBudget": {"enabled": True, "maxUnavailable": "34%"}},
    "postgres, autoscaled": {
        "autoscaling": {"enabled": True, "minReplicas": 2, "maxReplicas": 9, "cpu": 60},
        "podDisruptionBudget": {"enabled": True},
    },
    "postgres, a shared volume": {
        "replicas": 2,
        "persistence": {"enabled": True, "accessModes": ["ReadWriteMany"]},
    },
    "postgres, not brought up to date by a hook": {"migration": {"enabled": False}},
    "postgres, with all that pods take": {
        "migration": {"timeout": 60},
        "image": {"pullSecrets": ["registry"]},
        "podLabels": {"app.kubernetes.io/name": "not mine"},
        "podAnnotations": {"checksum/config": "not mine"},
        "extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}],
        "extraVolumeMounts": [{"name": "ca", "mountPath": "/etc/ssl/corporate"}],
    },
}
FEATURES |= {name: over(POSTGRES, values) for name, values in _SEVERAL.items()}

# What the cluster has to serve besides Kubernetes' own.
SERVED = {"route": [ROUTES], "monitored": [MONITORS]}
