{{/* What the library's templates take for one workload: dict "root" $ "name" NAME "workload" WORKLOAD. */}}
{{- define "shop.workload" -}}
{{- $root := .root -}}
{{- $library := $root.Values.proxyless -}}
{{- $values := dict "name" .name "app" .workload.service "version" .workload.version -}}
{{- if hasKey .workload "replicas" }}{{ $_ := set $values "replicas" (int .workload.replicas) }}{{ end -}}
{{- $args := list .workload.service "--name=$(POD_NAME)" (printf "--version=%s" .workload.version)
  (printf "--listen=0.0.0.0:%d" (int $library.port)) (printf "--admin=0.0.0.0:%d" (int $library.metrics.port)) -}}
{{- if .workload.fails }}{{ $args = append $args "--fails" }}{{ end -}}
{{- if $library.mtls.serve }}{{ $args = append $args "--mtls" }}{{ end -}}
{{- $_ := set $values "args" $args -}}
{{- $_ := set $values "controlPlane" (dict "address" (include "shop.controlPlane" $root)) -}}
{{- toYaml (dict "values" $values) -}}
{{- end -}}

{{- define "shop.controlPlane" -}}
{{- if eq .Values.controlPlane "embedded" -}}
{{- $name := (index .Values "proxyless-controller").name | default "proxyless-controller" -}}
{{- $port := ((index .Values "proxyless-controller").tls | default dict).port | default 15012 -}}
{{ $name }}.{{ .Values.controllerNamespace | default .Release.Namespace }}.svc:{{ int $port }}
{{- else -}}
{{ .Values.proxyless.controlPlane.address }}
{{- end -}}
{{- end -}}

{{- define "shop.labels" -}}
app.kubernetes.io/part-of: proxyless-shop
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}
