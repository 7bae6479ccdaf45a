{{- define "shop.labels" -}}
app.kubernetes.io/part-of: proxyless-shop
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "shop.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* What the bootstrap of proxyless reads: the environment that istio's injector gives a sidecar. */}}
{{- define "shop.environment" -}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: POD_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
- name: INSTANCE_IP
  valueFrom: {fieldRef: {fieldPath: status.podIP}}
- name: HOST_IP
  valueFrom: {fieldRef: {fieldPath: status.hostIP}}
- name: SERVICE_ACCOUNT
  valueFrom: {fieldRef: {fieldPath: spec.serviceAccountName}}
- name: ISTIO_META_NODE_NAME
  valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
- name: ISTIO_META_CLUSTER_ID
  value: {{ .root.Values.istiod.clusterId | quote }}
- name: ISTIO_META_WORKLOAD_NAME
  value: {{ .name | quote }}
- name: PROXY_CONFIG
  value: {{ dict "discoveryAddress" .root.Values.istiod.discoveryAddress | toJson | quote }}
- name: PROXYLESS_CACHE_DIR
  value: /var/cache/proxyless
{{- end }}
