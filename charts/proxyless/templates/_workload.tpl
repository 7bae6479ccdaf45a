{{/*
What every template here takes: the root of a chart whose dependency this chart is (its values are `proxyless`), or one
workload of several: dict "root" $ "values" VALUES, which go before `proxyless`. As YAML: the values with names filled in.
*/}}
{{- define "proxyless.workload" -}}
{{- $root := .root | default . -}}
{{- $values := mergeOverwrite (deepCopy ($root.Values.proxyless | default dict)) (deepCopy (.values | default dict)) -}}
{{- if not $values.controlPlane }}{{ fail "proxyless: the chart of that name is no dependency of this one" }}{{ end -}}
{{- $name := $values.name | default $root.Release.Name -}}
{{- $app := $values.app | default $name -}}
{{- $account := $values.serviceAccount.name | default (ternary $app "default" $values.serviceAccount.create) -}}
{{- $_ := set $values "name" $name -}}
{{- $_ := set $values "app" $app -}}
{{- $_ := set $values.serviceAccount "name" $account -}}
{{- $_ := set $values.image "tag" ($values.image.tag | default $root.Chart.AppVersion) -}}
{{- $_ := set $values "namespace" $root.Release.Namespace -}}
{{- $_ := set $values "common" (dict
  "app.kubernetes.io/name" $app
  "app.kubernetes.io/instance" $root.Release.Name
  "app.kubernetes.io/managed-by" $root.Release.Service
  "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version)) -}}
{{- toYaml $values -}}
{{- end -}}

{{/* Labels of the objects that a workload is made of. */}}
{{- define "proxyless.labels" -}}
{{- $w := include "proxyless.workload" . | fromYaml -}}
app: {{ $w.app }}
version: {{ $w.version | quote }}
{{ toYaml $w.common }}
{{- end -}}

{{/* What the selectors of the Deployment, and of what belongs to its pods, match. */}}
{{- define "proxyless.selector" -}}
{{- $w := include "proxyless.workload" . | fromYaml -}}
app: {{ $w.app }}
version: {{ $w.version | quote }}
{{- end -}}

{{- define "proxyless.image" -}}
{{- $image := (include "proxyless.workload" . | fromYaml).image -}}
{{- $image.repository }}{{ ternary "@" ":" (hasPrefix "sha256:" $image.tag) }}{{ $image.tag }}
{{- end -}}
