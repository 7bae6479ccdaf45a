{{- define "controller.selector" -}}
app: {{ .Values.name }}
{{- end -}}

{{- define "controller.labels" -}}
{{ include "controller.selector" . }}
app.kubernetes.io/name: proxyless-controller
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{/* Objects that no namespace holds. */}}
{{- define "controller.clusterName" -}}
{{ .Values.name }}-{{ .Release.Namespace }}
{{- end -}}

{{- define "controller.image" -}}
{{- $tag := .Values.image.tag | default .Chart.AppVersion -}}
{{ .Values.image.repository }}{{ ternary "@" ":" (hasPrefix "sha256:" $tag) }}{{ $tag }}
{{- end -}}

{{- define "controller.rootNamespace" -}}
{{ .Values.rootNamespace | default .Release.Namespace }}
{{- end -}}

{{- define "controller.caSecret" -}}
{{ .Values.ca.existingSecret | default (printf "%s-ca" .Values.name) }}
{{- end -}}

{{/* Something if the leader of the replicas writes. */}}
{{- define "controller.writes" -}}
{{- if or .Values.ca.publish .Values.webhook.enabled .Values.writeStatus .Values.writeRefusals }}yes{{ end -}}
{{- end -}}

{{/* The resources of a list that are read: all but those of `without`. */}}
{{- define "controller.read" -}}
{{- $left := list -}}
{{- range .root.Values.without -}}
{{- $name := lower . -}}
{{- $left = append $left (ternary (printf "%sies" (trimSuffix "y" $name)) (printf "%ss" $name) (regexMatch "[^aeiou]y$" $name)) -}}
{{- end -}}
{{- $read := list -}}
{{- range .of }}{{ if not (has . $left) }}{{ $read = append $read . }}{{ end }}{{ end -}}
{{- if $read -}}
- apiGroups: [{{ .group | quote }}]
  resources: {{ toJson $read }}
  verbs: [list, watch]
{{- end -}}
{{- end -}}
