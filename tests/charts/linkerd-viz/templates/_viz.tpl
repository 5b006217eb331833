{{- /* An object's metadata. Takes root, name and component; namespace, or none for what has none. */}}
{{- define "viz.metadata" -}}
name: {{ .name }}
{{- with .namespace }}
namespace: {{ . }}
{{- end }}
labels:
  linkerd.io/extension: viz
  component: {{ .component }}
annotations:
  linkerd.io/created-by: byomesh stand-in {{ .root.Values.linkerdVersion }}
{{- end }}

{{- /* {cpu: {request, limit}, memory: …} turned round into what Kubernetes knows. */}}
{{- define "viz.resources" -}}
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

{{- /* ServiceAccount, Service and Deployment of one part. Takes root, component, values, ports (by name) and secret. */}}
{{- define "viz.workload" -}}
{{- $namespace := .root.Release.Namespace }}
{{- $metadata := include "viz.metadata" (dict "root" .root "name" .component "component" .component "namespace" $namespace) }}
apiVersion: v1
kind: ServiceAccount
metadata: {{- $metadata | nindent 2 }}
---
apiVersion: v1
kind: Service
metadata: {{- $metadata | nindent 2 }}
spec:
  selector: {linkerd.io/extension: viz, component: {{ .component }}}
  ports:
    {{- range $name, $port := .ports }}
    - {name: {{ $name }}, port: {{ $port.service }}, targetPort: {{ $port.container }}}
    {{- end }}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{- $metadata | nindent 2 }}
spec:
  replicas: {{ .values.replicas | default 1 }}
  revisionHistoryLimit: {{ .root.Values.revisionHistoryLimit }}
  selector:
    matchLabels: {linkerd.io/extension: viz, component: {{ .component }}}
  template:
    metadata:
      annotations:
        linkerd.io/inject: enabled
        checksum/config: {{ .values.caBundle | default "" | sha256sum }}
      labels: {linkerd.io/extension: viz, component: {{ .component }}}
    spec:
      serviceAccountName: {{ .component }}
      nodeSelector: {{- toYaml .root.Values.nodeSelector | nindent 8 }}
      containers:
        - name: {{ .component }}
          image: {{ .values.image.registry | default .root.Values.defaultRegistry }}/{{ .values.image.name }}:{{ .values.image.tag | default .root.Values.linkerdVersion }}
          imagePullPolicy: {{ .root.Values.defaultImagePullPolicy }}
          ports:
            {{- range $name, $port := .ports }}
            - {name: {{ $name }}, containerPort: {{ $port.container }}}
            {{- end }}
          {{- include "viz.resources" .values.resources | nindent 10 }}
          {{- with .secret }}
          volumeMounts: [{name: tls, mountPath: /var/run/linkerd/tls, readOnly: true}]
          {{- end }}
      {{- with .secret }}
      volumes: [{name: tls, secret: {secretName: {{ . }}}}]
      {{- end }}
{{- end }}

{{- /* ClusterRole and ClusterRoleBinding of one name. Takes root, name, component and rules. */}}
{{- define "viz.role" -}}
{{- $metadata := include "viz.metadata" (dict "root" .root "name" .name "component" .component) }}
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{- $metadata | nindent 2 }}
rules: {{- toYaml .rules | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{- $metadata | nindent 2 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {{ .name }}}
subjects: [{kind: ServiceAccount, name: {{ .component }}, namespace: {{ .root.Release.Namespace }}}]
{{- end }}

{{- /* What a part serves TLS with: the given caBundle, or a certificate made up at every rendering, as upstream's chart
       does. Takes root, service and values; gives the caBundle in base64 and, if there is one to make, the Secret. */}}
{{- define "viz.serving" -}}
{{- $host := printf "%s.%s.svc" .service .root.Release.Namespace }}
{{- if .values.externalSecret }}
{{- if not .values.caBundle }}{{ fail (printf "%s.externalSecret needs %s.caBundle" .service .service) }}{{ end }}
caBundle: {{ .values.caBundle | trim | b64enc }}
{{- else }}
{{- $made := genSelfSignedCert $host (list) (list $host) 365 }}
caBundle: {{ $made.Cert | b64enc }}
secret:
  apiVersion: v1
  kind: Secret
  metadata: {{- include "viz.metadata" (dict "root" .root "name" (printf "%s-k8s-tls" .service) "component" .service "namespace" .root.Release.Namespace) | nindent 4 }}
  type: kubernetes.io/tls
  data: {tls.crt: {{ $made.Cert | b64enc }}, tls.key: {{ $made.Key | b64enc }}}
{{- end }}
{{- end }}
