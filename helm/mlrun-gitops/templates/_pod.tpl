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
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . | quote }}
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
    secretName: {{ .Values.store.postgresql.existingSecret | quote }}
    defaultMode: 0440
    items:
      - {key: {{ .Values.store.postgresql.key | quote }}, path: url}
{{- end -}}

{{/* What the service has mounted, and from where. */}}
{{- define "mlrun-gitops.mounts" -}}
- {name: config, mountPath: /etc/mlrun-gitops/config, readOnly: true}
{{- if .Values.auth.existingSecret }}
- {name: auth, mountPath: /etc/mlrun-gitops/auth, readOnly: true}
{{- end }}
{{- if eq .Values.store.kind "postgresql" }}
- {name: store, mountPath: /etc/mlrun-gitops/store, readOnly: true}
{{- end }}
{{- if .Values.mlrun.existingSecret }}
- {name: mlrun, mountPath: /etc/mlrun-gitops/mlrun, readOnly: true}
{{- end }}
{{- range $folder, $_ := .Values.secrets }}
- {name: secret-{{ $folder }}, mountPath: /etc/mlrun-gitops/secrets/{{ $folder }}, readOnly: true}
{{- end }}
- {name: data, mountPath: /var/lib/mlrun-gitops}
- {name: tmp, mountPath: /tmp}
{{- with .Values.extraVolumeMounts }}
{{- toYaml . | nindent 0 }}
{{- end }}
{{- end -}}

{{- define "mlrun-gitops.volumes" -}}
- name: config
  configMap: {name: {{ include "mlrun-gitops.fullname" . | quote }}}
{{- if .Values.auth.existingSecret }}
- name: auth
  secret:
    secretName: {{ .Values.auth.existingSecret | quote }}
    defaultMode: 0440
    items:
      {{- range .Values.auth.tokens }}
      - {key: {{ . | quote }}, path: {{ . | quote }}}
      {{- end }}
{{- end }}
{{- if eq .Values.store.kind "postgresql" }}
{{- include "mlrun-gitops.storeVolume" . | nindent 0 }}
{{- end }}
{{- if .Values.mlrun.existingSecret }}
- name: mlrun
  secret:
    secretName: {{ .Values.mlrun.existingSecret | quote }}
    defaultMode: 0440
    items:
      {{- range $setting, $key := include "mlrun-gitops.mlrunKeys" . | fromJson }}
      - {key: {{ $key | quote }}, path: {{ $setting }}}
      {{- end }}
{{- end }}
{{- range $folder, $secret := .Values.secrets }}
- name: secret-{{ $folder }}
  secret:
    secretName: {{ $secret.existingSecret | quote }}
    defaultMode: 0440
    {{- with $secret.items }}
    items:
      {{- range . }}
      - {key: {{ . | quote }}, path: {{ . | quote }}}
      {{- end }}
    {{- end }}
{{- end }}
- name: data
  {{- if .Values.persistence.enabled }}
  persistentVolumeClaim: {claimName: {{ include "mlrun-gitops.claim" . | quote }}}
  {{- else }}
  emptyDir: {}
  {{- end }}
- name: tmp
  emptyDir: {}
{{- with .Values.extraVolumes }}
{{- toYaml . | nindent 0 }}
{{- end }}
{{- end -}}
