{{- define "remint.name" -}}
{{- if contains "remint" .Release.Name -}}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{- else -}}{{ printf "%s-remint" .Release.Name | trunc 50 | trimSuffix "-" }}{{- end -}}
{{- end -}}

{{- define "remint.select" -}}
app.kubernetes.io/name: remint
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Of everything but the daemon's pods: no Service finds those of a hook. */}}
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

{{/* The Secret with the webhooks' certificate; empty where the daemon makes it. */}}
{{- define "remint.tls" -}}
{{- if .Values.webhooks.certificate.certManager -}}{{ include "remint.name" . }}-webhooks{{- else -}}{{ .Values.webhooks.certificate.existingSecret }}{{- end -}}
{{- end -}}

{{/* What every pod of the chart is. */}}
{{- define "remint.pod" -}}
automountServiceAccountToken: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
- name: {{ . }}
{{- end }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 0 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* And every container. The process takes its own core dumps away, and says so in its log. */}}
{{- define "remint.container" -}}
image: {{ include "remint.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- with .Values.resources }}
resources: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* A token that lives an hour, for this API server alone. */}}
{{- define "remint.token" -}}
- name: account
  projected:
    defaultMode: 0440
    sources:
    - serviceAccountToken: {path: token, expirationSeconds: 3600}
    - configMap: {name: kube-root-ca.crt, items: [{key: ca.crt, path: ca.crt}]}
{{- end -}}

{{/* What no schema can say: what needs what. */}}
{{- define "remint.check" -}}
{{- $postgres := .Values.store.postgres -}}
{{- if not .Values.kek.existingSecret -}}
{{- fail "kek.existingSecret is empty: make a key file (remint init --single-operator --state FOLDER --kek FILE), keep a copy elsewhere, put it into a Secret (kubectl create secret generic remint-kek --from-file=kek=FILE), and name that" -}}
{{- end -}}
{{- if and (gt (int .Values.replicas) 1) (not $postgres.host) -}}
{{- fail "replicas is more than 1, and SQLite has one daemon: name store.postgres.host" -}}
{{- end -}}
{{- if and $postgres.host (not $postgres.existingSecret) -}}
{{- fail "store.postgres.existingSecret is empty: name the Secret that holds the password" -}}
{{- end -}}
{{- if eq .Values.kek.existingSecret $postgres.existingSecret -}}
{{- fail "kek.existingSecret and store.postgres.existingSecret are one Secret: whoever reads the database would open it, too; keep the key in one of its own" -}}
{{- end -}}
{{- if has .Values.kek.existingSecret .Values.secrets -}}
{{- fail "kek.existingSecret stands in secrets, too: the key is mounted once, where the daemon looks for it" -}}
{{- end -}}
{{- range $word := list "store" "kubernetes" -}}
{{- if hasKey $.Values.configuration $word -}}
{{- fail (printf "configuration.%s is the chart's own to write: say it by %s" $word (ternary "store.postgres" "operator" (eq $word "store"))) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.governance.charter .Values.operator.user -}}
{{- fail "operator.user is for a state that nobody governs, and governance.charter is named: take one of them away" -}}
{{- end -}}
{{- if and .Values.api.enabled (not .Values.api.existingSecret) -}}
{{- fail "api.existingSecret is empty: name a Secret of type kubernetes.io/tls" -}}
{{- end -}}
{{- if .Values.webhooks.enabled -}}
{{- $certificate := .Values.webhooks.certificate -}}
{{- if and $certificate.certManager (not $certificate.issuer) -}}
{{- fail "webhooks.certificate.issuer is empty: name the Issuer that cert-manager asks, as {kind: Issuer, name: NAME}" -}}
{{- end -}}
{{- if and $certificate.certManager $certificate.existingSecret -}}
{{- fail "webhooks.certificate has both certManager and existingSecret: say who makes the certificate, once" -}}
{{- end -}}
{{- if and $certificate.existingSecret (not $certificate.ca) -}}
{{- fail "webhooks.certificate.ca is empty: the API server has to know who signed the certificate of existingSecret" -}}
{{- end -}}
{{- if and $certificate.ca (not $certificate.existingSecret) -}}
{{- fail "webhooks.certificate.existingSecret is empty, and ca says who signed it: name the Secret, or leave both to the daemon" -}}
{{- end -}}
{{- end -}}
{{- end -}}
