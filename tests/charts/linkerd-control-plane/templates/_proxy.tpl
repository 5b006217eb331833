{{- /* The proxy beside a component. Takes root, component, resources, ports (inbound, with commas) and native. */}}
{{- define "standin.proxy" -}}
{{- $values := .root.Values }}
{{- $proxy := $values.proxy }}
{{- $namespace := .root.Release.Namespace }}
{{- $address := dict "linkerd-dst-headless" 8086 "linkerd-policy" 8090 "linkerd-identity-headless" 8080 }}
{{- $inside := dict "destination" (list "linkerd-dst-headless" "linkerd-policy") "identity" (list "linkerd-identity-headless") }}
{{- range $service, $port := $address }}
{{- $host := has $service (get $inside $.component | default list) | ternary "localhost." (printf "%s.%s.svc.%s." $service $namespace $values.clusterDomain) }}
{{- $_ := set $address $service (printf "%s:%d" $host $port) }}
{{- end }}
name: linkerd-proxy
image: {{ $proxy.image.name }}:{{ $proxy.image.version | default $values.linkerdVersion }}
imagePullPolicy: {{ $proxy.image.pullPolicy | default $values.imagePullPolicy }}
{{- if .native }}
restartPolicy: Always
{{- end }}
env:
  - name: LINKERD2_PROXY_DESTINATION_PROFILE_NETWORKS
    value: {{ $values.clusterNetworks | quote }}
  - name: LINKERD2_PROXY_POLICY_CLUSTER_NETWORKS
    value: {{ $values.clusterNetworks | quote }}
  - name: LINKERD2_PROXY_DESTINATION_SVC_ADDR
    value: {{ get $address "linkerd-dst-headless" }}
  - name: LINKERD2_PROXY_POLICY_SVC_ADDR
    value: {{ get $address "linkerd-policy" }}
  - name: LINKERD2_PROXY_IDENTITY_SVC_ADDR
    value: {{ get $address "linkerd-identity-headless" }}
  - name: LINKERD2_PROXY_INBOUND_PORTS
    value: {{ .ports | quote }}
  - name: LINKERD2_PROXY_INBOUND_DEFAULT_POLICY
    value: all-unauthenticated
  - name: LINKERD2_PROXY_INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION
    value: {{ $proxy.opaquePorts | quote }}
  - name: LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS
    valueFrom:
      configMapKeyRef: {name: linkerd-identity-trust-roots, key: ca-bundle.crt}
ports:
  - {name: linkerd-proxy, containerPort: {{ $proxy.ports.inbound }}}
  - {name: linkerd-admin, containerPort: {{ $proxy.ports.admin }}}
livenessProbe:
  httpGet: {path: /live, port: {{ $proxy.ports.admin }}}
readinessProbe:
  httpGet: {path: /ready, port: {{ $proxy.ports.admin }}}
{{- if and .native $proxy.await }}
startupProbe:
  httpGet: {path: /ready, port: {{ $proxy.ports.admin }}}
  failureThreshold: 120
  periodSeconds: 1
{{- end }}
{{ include "standin.resources" .resources }}
{{ include "standin.confined" (dict "uid" $proxy.uid "gid" $proxy.gid) }}
volumeMounts:
  - {name: linkerd-identity-end-entity, mountPath: /var/run/linkerd/identity/end-entity}
  {{- if $values.identity.serviceAccountTokenProjection }}
  - {name: linkerd-identity-token, mountPath: /var/run/secrets/tokens}
  {{- end }}
{{- end }}

{{- /* What prepares a pod's network: linkerd-init with NET_ADMIN, or with the CNI plugin only a look at its work. Takes root
       and resources. */}}
{{- define "standin.network" -}}
{{- $values := .root.Values }}
{{- $init := $values.proxyInit }}
image: {{ $values.proxy.image.name }}:{{ $values.proxy.image.version | default $values.linkerdVersion }}
imagePullPolicy: {{ $values.proxy.image.pullPolicy | default $values.imagePullPolicy }}
{{ include "standin.resources" .resources }}
{{- if $values.cniEnabled }}
name: linkerd-network-validator
command: [/usr/lib/linkerd/linkerd2-network-validator]
args: [--log-format, {{ $values.networkValidator.logFormat }}, --log-level, {{ $values.networkValidator.logLevel }}, --timeout, {{ $values.networkValidator.timeout }}]
{{ include "standin.confined" (dict "uid" 65534 "gid" 65534) }}
{{- else }}
name: linkerd-init
command: [/usr/lib/linkerd/linkerd2-proxy-init]
args:
  {{- if eq $init.iptablesMode "nft" }}
  - --firewall-bin-path=iptables-nft
  - --firewall-save-bin-path=iptables-nft-save
  {{- else if ne $init.iptablesMode "legacy" }}
  {{- fail (printf "proxyInit.iptablesMode is %q: it may be nft or legacy" $init.iptablesMode) }}
  {{- end }}
  {{- if $values.disableIPv6 }}
  - --ipv6=false
  {{- end }}
  - --incoming-proxy-port={{ $values.proxy.ports.inbound }}
  - --outgoing-proxy-port={{ $values.proxy.ports.outbound }}
  - --proxy-uid={{ $values.proxy.uid }}
  - --inbound-ports-to-ignore={{ $values.proxy.ports.control }},{{ $values.proxy.ports.admin }},{{ $init.ignoreInboundPorts }}
  - --outbound-ports-to-ignore={{ $init.kubeAPIServerPorts }}
securityContext:
  allowPrivilegeEscalation: {{ $init.privileged }}
  capabilities: {add: [NET_ADMIN, NET_RAW]}
  privileged: {{ $init.privileged }}
  readOnlyRootFilesystem: true
  runAsNonRoot: {{ not $init.runAsRoot }}
  runAsUser: {{ $init.runAsRoot | ternary 0 $init.runAsUser }}
  runAsGroup: {{ $init.runAsRoot | ternary 0 $init.runAsGroup }}
  seccompProfile: {type: RuntimeDefault}
volumeMounts:
  - {name: {{ $init.xtMountPath.name }}, mountPath: {{ $init.xtMountPath.mountPath }}}
{{- end }}
{{- end }}
