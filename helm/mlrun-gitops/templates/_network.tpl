{{/* Who is a pod of a runner of this service; the launcher puts these labels on. */}}
{{- define "mlrun-gitops.runnerSelector" -}}
app.kubernetes.io/managed-by: mlrun-gitops
mlrun-gitops.io/instance: {{ include "mlrun-gitops.instance" . | quote }}
{{- end -}}

{{/* Whoever answers names: clusters have them in different places. */}}
{{- define "mlrun-gitops.dns" -}}
ports:
  - {port: 53, protocol: UDP}
  - {port: 53, protocol: TCP}
{{- end -}}
