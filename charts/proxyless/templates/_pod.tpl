{{/* Labels of a pod, its selector's among them. */}}
{{- define "proxyless.podLabels" -}}
{{- $w := include "proxyless.workload" . | fromYaml -}}
{{ include "proxyless.labels" . }}
# Governed in process: a sidecar beside it would do everything twice.
sidecar.istio.io/inject: "false"
# Whether peers call it by mTLS, as the injector's label says of a sidecar.
security.istio.io/tlsMode: {{ ternary "istio" "disabled" $w.mtls.serve }}
{{- with $w.podLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Annotations of a pod. */}}
{{- define "proxyless.podAnnotations" -}}
{{- $w := include "proxyless.workload" . | fromYaml -}}
{{- $found := dict -}}
{{- if $w.metrics.annotations -}}
{{- $found = dict
  "prometheus.io/scrape" "true"
  "prometheus.io/port" ($w.metrics.port | int | toString)
  "prometheus.io/path" $w.metrics.path -}}
{{- end -}}
{{- toYaml (merge (deepCopy $w.podAnnotations) $found) -}}
{{- end -}}

{{/* What a pod's spec has beside its containers and volumes. */}}
{{- define "proxyless.podSpec" -}}
{{- $w := include "proxyless.workload" . | fromYaml -}}
serviceAccountName: {{ $w.serviceAccount.name }}
# The mesh has a token of its own, and nothing here asks the API server.
automountServiceAccountToken: false
terminationGracePeriodSeconds: {{ $w.terminationGracePeriodSeconds | int }}
securityContext:
  runAsNonRoot: true
  runAsUser: {{ $w.runAsUser | int }}
  runAsGroup: {{ $w.runAsUser | int }}
  fsGroup: {{ $w.runAsUser | int }}
  seccompProfile: {type: RuntimeDefault}
{{- with $w.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- if $w.topologySpread.enabled }}
topologySpreadConstraints:
  {{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - topologyKey: {{ $key }}
    maxSkew: {{ $w.topologySpread.maxSkew | int }}
    whenUnsatisfiable: {{ $w.topologySpread.whenUnsatisfiable }}
    labelSelector:
      matchLabels:
        {{- include "proxyless.selector" $ | nindent 8 }}
    # The pods of a new version are spread by themselves.
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- end }}
{{- range $key := list "nodeSelector" "tolerations" "affinity" }}
{{- with index $w $key }}
{{ $key }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The files that the bootstrap reads: token, root certificate, labels and annotations; and where it keeps its copy. */}}
{{- define "proxyless.volumes" -}}
{{- $w := include "proxyless.workload" . | fromYaml -}}
- name: istio-token
  projected:
    sources:
      - serviceAccountToken:
          path: istio-token
          audience: {{ $w.controlPlane.tokenAudience }}
          expirationSeconds: {{ $w.controlPlane.tokenExpirationSeconds | int }}
- name: istiod-ca-cert
  configMap: {name: {{ $w.controlPlane.rootCertConfigMap }}}
- name: podinfo
  downwardAPI:
    items:
      - path: labels
        fieldRef: {fieldPath: metadata.labels}
      - path: annotations
        fieldRef: {fieldPath: metadata.annotations}
- name: proxyless-cache
  emptyDir: {sizeLimit: {{ $w.cache.sizeLimit }}}
- name: tmp
  emptyDir: {}
{{- with $w.volumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}
