{{/* A whole workload: what a chart of one app consists of. */}}
{{- define "proxyless.app" -}}
{{- range $name := list "serviceAccount" "service" "deployment" "podDisruptionBudget" "networkPolicy" "podMonitor" }}
{{- with include (printf "proxyless.%s" $name) $ }}
---
{{ . }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "proxyless.deployment" -}}
{{- $w := include "proxyless.workload" . | fromYaml -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $w.name }}
  labels:
    {{- include "proxyless.labels" . | nindent 4 }}
spec:
  replicas: {{ $w.replicas | int }}
  selector:
    matchLabels:
      {{- include "proxyless.selector" . | nindent 6 }}
  strategy:
    # No pod goes before another one is ready.
    rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
  template:
    metadata:
      labels:
        {{- include "proxyless.podLabels" . | nindent 8 }}
      annotations:
        {{- include "proxyless.podAnnotations" . | nindent 8 }}
    spec:
      {{- include "proxyless.podSpec" . | nindent 6 }}
      containers:
        - name: {{ $w.name }}
          image: {{ include "proxyless.image" . }}
          imagePullPolicy: {{ $w.image.pullPolicy }}
          {{- with $w.command }}
          command:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          {{- with $w.args }}
          args:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          {{- include "proxyless.container" . | nindent 10 }}
      volumes:
        {{- include "proxyless.volumes" . | nindent 8 }}
{{- end -}}

{{- define "proxyless.service" -}}
{{- $w := include "proxyless.workload" . | fromYaml -}}
{{- if $w.service.enabled -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ $w.app }}
  labels:
    app: {{ $w.app }}
    {{- toYaml $w.common | nindent 4 }}
spec:
  # Of every version: which one a call goes to is the routes' to say.
  selector: {app: {{ $w.app }}}
  ports:
    - name: {{ include "proxyless.portName" . }}
      port: {{ $w.service.port | int }}
      targetPort: {{ $w.port | int }}
      appProtocol: {{ $w.service.appProtocol }}
{{- end -}}
{{- end -}}

{{- define "proxyless.serviceAccount" -}}
{{- $w := include "proxyless.workload" . | fromYaml -}}
{{- if $w.serviceAccount.create -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ $w.serviceAccount.name }}
  labels:
    app: {{ $w.app }}
    {{- toYaml $w.common | nindent 4 }}
automountServiceAccountToken: false
{{- end -}}
{{- end -}}

{{- define "proxyless.podDisruptionBudget" -}}
{{- $w := include "proxyless.workload" . | fromYaml -}}
{{- if $w.podDisruptionBudget.enabled -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ $w.name }}
  labels:
    {{- include "proxyless.labels" . | nindent 4 }}
spec:
  maxUnavailable: {{ $w.podDisruptionBudget.maxUnavailable }}
  # A pod that is not ready keeps no node from being drained.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "proxyless.selector" . | nindent 6 }}
{{- end -}}
{{- end -}}

{{- define "proxyless.networkPolicy" -}}
{{- $w := include "proxyless.workload" . | fromYaml -}}
{{- $policy := $w.networkPolicy -}}
{{- $everybody := list (dict "namespaceSelector" dict) -}}
{{- if $policy.enabled -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ $w.name }}
  labels:
    {{- include "proxyless.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "proxyless.selector" . | nindent 6 }}
  policyTypes: [Ingress{{ if $policy.egress.enabled }}, Egress{{ end }}]
  ingress:
    - from:
        {{- toYaml ($policy.from | default $everybody) | nindent 8 }}
      ports: [{port: {{ $w.port | int }}}]
    - from:
        {{- toYaml ($policy.metricsFrom | default $everybody) | nindent 8 }}
      ports: [{port: {{ $w.metrics.port | int }}}]
  {{- if $policy.egress.enabled }}
  egress:
    - ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
    # The mesh decides who may call whom; the control plane is a pod of the cluster, too.
    - to: [{namespaceSelector: {}}]
    {{- with $policy.egress.extra }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
{{- end -}}
{{- end -}}

{{- define "proxyless.podMonitor" -}}
{{- $w := include "proxyless.workload" . | fromYaml -}}
{{- if $w.metrics.podMonitor.enabled -}}
apiVersion: monitoring.coreos.com/v1
kind: PodMonitor
metadata:
  name: {{ $w.name }}
  labels:
    {{- include "proxyless.labels" . | nindent 4 }}
    {{- with $w.metrics.podMonitor.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  selector:
    matchLabels:
      {{- include "proxyless.selector" . | nindent 6 }}
  podMetricsEndpoints:
    - port: http-metrics
      path: {{ $w.metrics.path }}
      interval: {{ $w.metrics.podMonitor.interval }}
{{- end -}}
{{- end -}}
