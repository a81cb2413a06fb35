{{/* What all pods of the chart have in common. Pod security "restricted" is not for choosing. */}}

{{- define "mlrun-gitops.pod" -}}
# Services of this namespace would become variables, and those of a release named `gitops` look like settings.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  {{- with .Values.podSecurityContext }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "mlrun-gitops.container" -}}
image: {{ include "mlrun-gitops.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  privileged: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  capabilities: {drop: [ALL]}
resources:
  {{- toYaml .Values.resources | nindent 2 }}
{{- end -}}

{{/* The database's address, as a file. */}}
{{- define "mlrun-gitops.storeVolume" -}}
- name: store
  secret:
    secretName: {{ .Values.store.postgresql.existingSecret }}
    defaultMode: 0440
    items:
      - {key: {{ .Values.store.postgresql.key | quote }}, path: url}
{{- end -}}
