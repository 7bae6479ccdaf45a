{{/* The kubelet's probes; where the app has a listener for them, those of the app's own port are asked there. */}}
{{- define "proxyless.probes" -}}
{{- $w := include "proxyless.workload" . | fromYaml -}}
{{- $found := dict -}}
{{- range $kind, $path := include "proxyless.probePaths" . | fromYaml -}}
{{- $probe := deepCopy (index $w.probes $kind | default dict) -}}
{{- if $probe -}}
{{- if include "proxyless.rewritten" (dict "w" $w "probe" $probe) -}}
{{- $headers := ($probe.httpGet | default dict).httpHeaders -}}
{{- $probe = omit $probe "httpGet" "tcpSocket" "grpc" -}}
{{- $http := dict "path" $path "port" "http-metrics" -}}
{{- if $headers }}{{ $_ := set $http "httpHeaders" $headers }}{{ end -}}
{{- $_ := set $probe "httpGet" $http -}}
{{- end -}}
{{- $_ := set $found (printf "%sProbe" $kind) $probe -}}
{{- end -}}
{{- end -}}
{{- if $found }}{{ toYaml $found }}{{ end -}}
{{- end -}}

{{/* The app's own probes for its listener, as Istio's injector writes them: numbers for ports. */}}
{{- define "proxyless.probers" -}}
{{- $w := include "proxyless.workload" . | fromYaml -}}
{{- $found := dict -}}
{{- range $kind, $path := include "proxyless.probePaths" . | fromYaml -}}
{{- $probe := index $w.probes $kind | default dict -}}
{{- if include "proxyless.rewritten" (dict "w" $w "probe" $probe) -}}
{{- range $handler := list "httpGet" "tcpSocket" "grpc" -}}
{{- with index $probe $handler -}}
{{- $port := include "proxyless.probePort" (dict "w" $w "port" .port) | int -}}
{{- $prober := dict $handler (mergeOverwrite (omit . "httpHeaders") (dict "port" $port)) -}}
{{- if $probe.timeoutSeconds }}{{ $_ := set $prober "timeoutSeconds" ($probe.timeoutSeconds | int) }}{{ end -}}
{{- $_ := set $found $path $prober -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if $found }}{{ toJson $found }}{{ end -}}
{{- end -}}

{{- define "proxyless.probePaths" -}}
{{- $w := include "proxyless.workload" . | fromYaml -}}
liveness: /app-health/{{ $w.name }}/livez
readiness: /app-health/{{ $w.name }}/readyz
startup: /app-health/{{ $w.name }}/startupz
{{- end -}}

{{/* Something if a probe is one for the listener to ask: not a command, and not the listener itself. */}}
{{- define "proxyless.rewritten" -}}
{{- $handler := .probe.httpGet | default .probe.tcpSocket | default .probe.grpc -}}
{{- if and .w.probes.listener $handler -}}
{{- $port := include "proxyless.probePort" (dict "w" .w "port" $handler.port) | int -}}
{{- if ne $port (int .w.metrics.port) }}yes{{ end -}}
{{- end -}}
{{- end -}}

{{- define "proxyless.probePort" -}}
{{- $names := dict "http-metrics" .w.metrics.port .w.service.appProtocol .w.port -}}
{{- if kindIs "string" .port -}}
{{- if not (hasKey $names .port) -}}
{{- fail (printf "proxyless: %s: a probe's port is %q: it is a number, %q or \"http-metrics\"" .w.name .port .w.service.appProtocol) -}}
{{- end -}}
{{- index $names .port | int -}}
{{- else -}}
{{- int .port -}}
{{- end -}}
{{- end -}}
