{{/* All that follows, of one container: what a container has beside its name, image, command and args. */}}
{{- define "proxyless.container" -}}
env:
  {{- include "proxyless.env" . | nindent 2 }}
ports:
  {{- include "proxyless.ports" . | nindent 2 }}
{{ include "proxyless.probes" . }}
{{ include "proxyless.lifecycle" . }}
securityContext:
  {{- include "proxyless.securityContext" . | nindent 2 }}
resources:
  {{- toYaml (include "proxyless.workload" . | fromYaml).resources | nindent 2 }}
volumeMounts:
  {{- include "proxyless.volumeMounts" . | nindent 2 }}
{{- end -}}

{{/* The variables that the bootstrap reads: those that Istio's injector gives a sidecar, and the folder of the copy. */}}
{{- define "proxyless.env" -}}
{{- $w := include "proxyless.workload" . | fromYaml -}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: POD_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
- name: INSTANCE_IP
  valueFrom: {fieldRef: {fieldPath: status.podIP}}
- name: SERVICE_ACCOUNT
  valueFrom: {fieldRef: {fieldPath: spec.serviceAccountName}}
- name: ISTIO_META_NODE_NAME
  valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
- name: ISTIO_META_WORKLOAD_NAME
  value: {{ $w.name | quote }}
- name: ISTIO_META_CLUSTER_ID
  value: {{ $w.controlPlane.clusterId | quote }}
{{- with $w.controlPlane.meshId }}
- name: ISTIO_META_MESH_ID
  value: {{ . | quote }}
{{- end }}
{{- with $w.controlPlane.network }}
- name: ISTIO_META_NETWORK
  value: {{ . | quote }}
{{- end }}
- name: PROXY_CONFIG
  value: {{ dict "discoveryAddress" $w.controlPlane.address | toJson | quote }}
{{- with $w.controlPlane.caAddress }}
- name: CA_ADDR
  value: {{ . | quote }}
{{- end }}
- name: TRUST_DOMAIN
  value: {{ $w.controlPlane.trustDomain | quote }}
- name: DOMAIN_SUFFIX
  value: {{ $w.controlPlane.domain | quote }}
{{- if $w.controlPlane.delta }}
- name: PROXYLESS_DELTA
  value: "1"
{{- end }}
{{- if not $w.identity }}
- name: PROXYLESS_IDENTITY
  value: none
{{- end }}
- name: PROXYLESS_CACHE_DIR
  value: /var/cache/proxyless
{{- with include "proxyless.probers" . }}
- name: ISTIO_KUBE_APP_PROBERS
  value: {{ . | quote }}
{{- end }}
{{- with $w.env }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "proxyless.volumeMounts" -}}
{{- $w := include "proxyless.workload" . | fromYaml -}}
- {name: istio-token, mountPath: /var/run/secrets/tokens, readOnly: true}
- {name: istiod-ca-cert, mountPath: /var/run/secrets/istio, readOnly: true}
- {name: podinfo, mountPath: /etc/istio/pod, readOnly: true}
- {name: proxyless-cache, mountPath: /var/cache/proxyless}
- {name: tmp, mountPath: /tmp}
{{- with $w.volumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "proxyless.ports" -}}
{{- $w := include "proxyless.workload" . | fromYaml -}}
- {name: {{ include "proxyless.portName" . }}, containerPort: {{ $w.port | int }}}
- {name: http-metrics, containerPort: {{ $w.metrics.port | int }}}
{{- end -}}

{{/* Of the app's port, by which Istio knows its protocol too; `http-metrics` is the other one's. */}}
{{- define "proxyless.portName" -}}
{{- (include "proxyless.workload" . | fromYaml).service.appProtocol -}}
{{- end -}}

{{- define "proxyless.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* A pod that ends is told so first and goes on for a while: callers hear of it a moment later. */}}
{{- define "proxyless.lifecycle" -}}
{{- with (include "proxyless.workload" . | fromYaml).drainSeconds | int -}}
lifecycle:
  preStop: {sleep: {seconds: {{ . }}}}
{{- end -}}
{{- end -}}
