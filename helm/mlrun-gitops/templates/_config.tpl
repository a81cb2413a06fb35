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

{{/* The files of the MLRun API's credentials, by the setting that names each: as JSON, setting to key of the Secret. */}}
{{- define "mlrun-gitops.mlrunKeys" -}}
{{- $keys := dict -}}
{{- with .Values.mlrun.tokenKey }}{{ $_ := set $keys "token" . }}{{ end -}}
{{- with .Values.mlrun.accessKeyKey }}{{ $_ := set $keys "access_key" . }}{{ end -}}
{{- with .Values.mlrun.runnerTokenKey }}{{ $_ := set $keys "runner_token" . }}{{ end -}}
{{- toJson $keys -}}
{{- end -}}

{{- define "mlrun-gitops.config" -}}
{{- $tokens := list -}}
{{- range .Values.auth.tokens }}{{ $tokens = append $tokens (dict "name" . "token_file" (printf "/etc/mlrun-gitops/auth/%s" .)) }}{{ end -}}
{{- $config := deepCopy .Values.config -}}
{{- $_ := set $config "data_dir" "/var/lib/mlrun-gitops/data" -}}
{{- $_ := set $config "auth" (mergeOverwrite (deepCopy ($config.auth | default dict)) (dict "tokens" (concat $tokens (dig "auth" "tokens" list .Values.config)))) -}}
{{- if eq .Values.store.kind "postgresql" }}{{ $_ := set $config "store" (dict "url_file" "/etc/mlrun-gitops/store/url") }}{{ end -}}
{{- $server := dict "host" "0.0.0.0" "port" (int .Values.containerPort) "health_port" (int .Values.healthPort) "internal_url" (include "mlrun-gitops.internalUrl" .) -}}
{{- with include "mlrun-gitops.publicUrl" . }}{{ $_ := set $server "public_url" . }}{{ end -}}
{{- $pods := dict "namespace" (include "mlrun-gitops.namespaces" . | fromJsonArray | first) "instance" (include "mlrun-gitops.instance" .) "service_account" (include "mlrun-gitops.runnerServiceAccount" .) -}}
{{- $mlrun := dict -}}
{{- with .Values.mlrun.api }}{{ $_ := set $mlrun "api" . }}{{ end -}}
{{- range $setting, $_ := include "mlrun-gitops.mlrunKeys" . | fromJson }}{{ $_ := set $mlrun (printf "%s_file" $setting) (printf "/etc/mlrun-gitops/mlrun/%s" $setting) }}{{ end -}}
{{- $known := dict "server" $server "launcher" (dict "kind" "kubernetes" "loads" "kubernetes" "kubernetes" $pods) -}}
{{- if $mlrun }}{{ $_ := set $known "mlrun" $mlrun }}{{ end -}}
{{- toYaml (merge $config $known) -}}
{{- end -}}
