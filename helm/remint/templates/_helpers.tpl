{{- define "remint.name" -}}
{{- if contains "remint" .Release.Name -}}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{- else -}}{{ printf "%s-remint" .Release.Name | trunc 50 | trimSuffix "-" }}{{- end -}}
{{- end -}}

{{- define "remint.select" -}}
app.kubernetes.io/name: remint
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "remint.labels" -}}
{{ include "remint.select" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "remint.account" -}}
{{ .Values.serviceAccount.name | default (include "remint.name" .) }}
{{- end -}}

{{- define "remint.image" -}}
{{- if .Values.image.digest -}}{{ .Values.image.repository }}@{{ .Values.image.digest }}{{- else -}}{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{- end -}}
{{- end -}}

{{- define "remint.tls" -}}
{{- if .Values.webhooks.certificate.certManager -}}{{ include "remint.name" . }}-webhooks{{- else -}}{{ .Values.webhooks.certificate.existingSecret }}{{- end -}}
{{- end -}}

{{/* What no schema can say: what needs what. */}}
{{- define "remint.check" -}}
{{- if not .Values.kek.existingSecret -}}
{{- fail "kek.existingSecret is empty: make a Secret with the key file (remint init, then kubectl create secret generic NAME --from-file=kek=FILE), keep a copy elsewhere, and name it" -}}
{{- end -}}
{{- if and (gt (int .Values.replicas) 1) (not .Values.store.postgres.host) -}}
{{- fail "replicas is more than 1, and SQLite has one daemon: name store.postgres.host" -}}
{{- end -}}
{{- if and .Values.store.postgres.host (not .Values.store.postgres.existingSecret) -}}
{{- fail "store.postgres.existingSecret is empty: name the Secret that holds the password" -}}
{{- end -}}
{{- if .Values.webhooks.enabled -}}
{{- $certificate := .Values.webhooks.certificate -}}
{{- if and $certificate.certManager (not $certificate.issuer) -}}
{{- fail "webhooks.certificate.issuer is empty: name the Issuer that cert-manager asks, as {kind: Issuer, name: NAME}" -}}
{{- end -}}
{{- if and (not $certificate.certManager) (or (not $certificate.existingSecret) (not $certificate.ca)) -}}
{{- fail "the webhooks have no certificate: set webhooks.certificate.certManager and its issuer, or existingSecret and ca" -}}
{{- end -}}
{{- end -}}
{{- end -}}
