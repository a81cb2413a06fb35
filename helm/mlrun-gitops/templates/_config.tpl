{{/* config.yaml: the value `config`, with what the chart knows put in where it says nothing. */}}

{{/* Where people and forges reach the service, as far as the way in tells. */}}
{{- define "mlrun-gitops.publicUrl" -}}
{{- $said := dig "server" "public_url" "" .Values.config -}}
{{- if $said -}}{{ $said }}
{{- else if and .Values.ingress.enabled .Values.ingress.host -}}{{ printf "https://%s" .Values.ingress.host }}
{{- else if and .Values.httpRoute.enabled .Values.httpRoute.hostnames -}}{{ printf "https://%s" (first .Values.httpRoute.hostnames) }}
{{- end -}}
{{- end -}}

{{- define "mlrun-gitops.internalUrl" -}}
{{- $port := int .Values.service.port -}}
http://{{ include "mlrun-gitops.fullname" . }}.{{ .Release.Namespace }}.svc{{ if ne $port 80 }}:{{ $port }}{{ end }}
{{- end -}}

{{- define "mlrun-gitops.config" -}}
{{- $tokens := list -}}
{{- range .Values.auth.tokens }}{{ $tokens = append $tokens (dict "name" . "token_file" (printf "/etc/mlrun-gitops/auth/%s" .)) }}{{ end -}}
{{- $config := deepCopy .Values.config -}}
{{- $_ := set $config "data_dir" "/var/lib/mlrun-gitops/data" -}}
{{- $_ := set $config "auth" (mergeOverwrite (deepCopy ($config.auth | default dict)) (dict "tokens" (concat $tokens (dig "auth" "tokens" list .Values.config)))) -}}
{{- if eq .Values.store.kind "postgresql" }}{{ $_ := set $config "store" (dict "url_file" "/etc/mlrun-gitops/store/url") }}{{ end -}}
{{- $server := dict "host" "0.0.0.0" "port" (int .Values.containerPort) "internal_url" (include "mlrun-gitops.internalUrl" .) -}}
{{- with include "mlrun-gitops.publicUrl" . }}{{ $_ := set $server "public_url" . }}{{ end -}}
{{- $pods := dict "namespace" (include "mlrun-gitops.namespaces" . | fromJsonArray | first) "instance" (include "mlrun-gitops.instance" .) "service_account" (include "mlrun-gitops.runnerServiceAccount" .) -}}
{{- $known := dict "server" $server "launcher" (dict "kind" "kubernetes" "kubernetes" $pods) -}}
{{- toYaml (merge $config $known) -}}
{{- end -}}
