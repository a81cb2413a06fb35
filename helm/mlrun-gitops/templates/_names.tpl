{{/* Names and labels. Each object's name fits DNS, and those in namespaces of runners tell releases of other namespaces apart. */}}

{{- define "mlrun-gitops.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 45 | trimSuffix "-" -}}
{{- end -}}

{{- define "mlrun-gitops.fullname" -}}
{{- $name := include "mlrun-gitops.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 45 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 45 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 45 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Whose jobs they are, among all services that share a namespace of runners. */}}
{{- define "mlrun-gitops.instance" -}}
{{- $name := include "mlrun-gitops.fullname" . -}}
{{- dig "launcher" "kubernetes" "instance" (printf "%s-%s" $name (printf "%s/%s" .Release.Namespace $name | sha256sum | trunc 8)) .Values.config -}}
{{- end -}}

{{/* The name of what lies in namespaces of runners. */}}
{{- define "mlrun-gitops.runnersName" -}}
{{- $name := include "mlrun-gitops.fullname" . -}}
{{- printf "%s-%s-runners" $name (printf "%s/%s" .Release.Namespace $name | sha256sum | trunc 8) -}}
{{- end -}}

{{- define "mlrun-gitops.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "mlrun-gitops.fullname" .) -}}
{{- end -}}

{{- define "mlrun-gitops.runnerServiceAccount" -}}
{{- .Values.runner.serviceAccount.name | default (include "mlrun-gitops.runnersName" .) -}}
{{- end -}}

{{/* The namespaces of runners, as a JSON list: each once. */}}
{{- define "mlrun-gitops.namespaces" -}}
{{- $names := list -}}
{{- range .Values.runner.namespaces }}{{ $names = append $names (tpl . $) }}{{ end -}}
{{- $names | uniq | toJson -}}
{{- end -}}

{{- define "mlrun-gitops.claim" -}}
{{- .Values.persistence.existingClaim | default (printf "%s-data" (include "mlrun-gitops.fullname" .)) -}}
{{- end -}}

{{- define "mlrun-gitops.image" -}}
{{- $image := .Values.image -}}
{{- $tagged := printf "%s:%s" $image.repository ($image.tag | default .Chart.AppVersion) -}}
{{- if $image.digest }}{{ $tagged }}@{{ $image.digest }}{{ else }}{{ $tagged }}{{ end -}}
{{- end -}}

{{- define "mlrun-gitops.selector" -}}
app.kubernetes.io/name: {{ include "mlrun-gitops.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{/* Labels of an object; call with (list $ "component" extra), of which none replaces one of the chart's. */}}
{{- define "mlrun-gitops.labels" -}}
{{- $ := index . 0 -}}
{{- $own := include "mlrun-gitops.selector" $ | fromYaml -}}
{{- $_ := set $own "app.kubernetes.io/component" (index . 1) -}}
{{- $_ := set $own "app.kubernetes.io/part-of" "mlrun-gitops" -}}
{{- $_ := set $own "app.kubernetes.io/version" ($.Chart.AppVersion | toString) -}}
{{- $_ := set $own "app.kubernetes.io/managed-by" $.Release.Service -}}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" $.Chart.Name $.Chart.Version | replace "+" "_") -}}
{{- toYaml (merge $own (index . 2 | default dict) $.Values.labels) -}}
{{- end -}}

{{/* The metadata of an object; call with (dict "top" $ "name" ... "component" ... "namespace" ... "annotations" ... "labels" ...). */}}
{{- define "mlrun-gitops.metadata" -}}
metadata:
  name: {{ .name | quote }}
  {{- if not .clusterWide }}
  namespace: {{ .namespace | default .top.Release.Namespace | quote }}
  {{- end }}
  labels:
    {{- include "mlrun-gitops.labels" (list .top .component .labels) | nindent 4 }}
  {{- with merge (dict) (.annotations | default dict) .top.Values.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
