{{- define "standin.trustDomain" -}}
{{ .Values.identityTrustDomain | default .Values.clusterDomain }}
{{- end }}

{{- /* An object's metadata. Takes root and name; component, labels and annotations; global for objects of no namespace. */}}
{{- define "standin.metadata" -}}
{{- $labels := dict "linkerd.io/control-plane-ns" .root.Release.Namespace }}
{{- with .component }}{{ $_ := set $labels "linkerd.io/control-plane-component" . }}{{ end }}
{{- $annotations := dict "linkerd.io/created-by" (printf "byomesh stand-in %s" .root.Values.linkerdVersion) }}
{{- $metadata := dict "name" .name }}
{{- $_ := set $metadata "labels" (merge $labels (.labels | default dict) .root.Values.commonLabels) }}
{{- $_ := set $metadata "annotations" (merge $annotations (.annotations | default dict)) }}
{{- if not .global }}{{ $_ := set $metadata "namespace" .root.Release.Namespace }}{{ end }}
{{- toYaml $metadata }}
{{- end }}

{{- /* A workload's own labels, as other tools look for them. Takes root and component. */}}
{{- define "standin.workloadLabels" -}}
app.kubernetes.io/name: {{ .component }}
app.kubernetes.io/part-of: Linkerd
app.kubernetes.io/version: {{ .root.Values.linkerdVersion }}
{{- end }}

{{- /* {cpu: {request, limit}, memory: …} turned round into what Kubernetes knows. */}}
{{- define "standin.resources" -}}
{{- $resources := dict }}
{{- range $kind, $word := dict "requests" "request" "limits" "limit" }}
{{- $amounts := dict }}
{{- range $name, $amount := $ }}
{{- with get $amount $word }}{{ $_ := set $amounts $name (toString .) }}{{ end }}
{{- end }}
{{- if $amounts }}{{ $_ := set $resources $kind $amounts }}{{ end }}
{{- end }}
{{- if $resources }}{{ toYaml (dict "resources" $resources) }}{{ end }}
{{- end }}

{{- /* A container that may do nothing. Takes uid and gid. */}}
{{- define "standin.confined" -}}
securityContext:
  allowPrivilegeEscalation: false
  capabilities: {drop: [ALL]}
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  runAsUser: {{ .uid }}
  {{- if ge (int .gid) 0 }}
  runAsGroup: {{ .gid }}
  {{- end }}
  seccompProfile: {type: RuntimeDefault}
{{- end }}
