{{/* Which version of an API to use: the newest that this Kubernetes serves, from 1.20 on. The cluster is asked; without one, helm's --kube-version tells. */}}

{{- define "mlrun-gitops.policyVersion" -}}
{{- if and (.Capabilities.APIVersions.Has "policy/v1") (semverCompare ">=1.21-0" .Capabilities.KubeVersion.Version) -}}
policy/v1
{{- else -}}
policy/v1beta1
{{- end -}}
{{- end -}}

{{- define "mlrun-gitops.autoscalingVersion" -}}
{{- if and (.Capabilities.APIVersions.Has "autoscaling/v2") (semverCompare ">=1.23-0" .Capabilities.KubeVersion.Version) -}}
autoscaling/v2
{{- else -}}
autoscaling/v2beta2
{{- end -}}
{{- end -}}

{{/* Empty where the Gateway API is not installed. */}}
{{- define "mlrun-gitops.routeVersion" -}}
{{- if .Capabilities.APIVersions.Has "gateway.networking.k8s.io/v1/HTTPRoute" -}}
gateway.networking.k8s.io/v1
{{- else if .Capabilities.APIVersions.Has "gateway.networking.k8s.io/v1beta1/HTTPRoute" -}}
gateway.networking.k8s.io/v1beta1
{{- end -}}
{{- end -}}

{{/* Empty where the Prometheus operator is not installed. */}}
{{- define "mlrun-gitops.monitorVersion" -}}
{{- if .Capabilities.APIVersions.Has "monitoring.coreos.com/v1/ServiceMonitor" -}}
monitoring.coreos.com/v1
{{- end -}}
{{- end -}}
