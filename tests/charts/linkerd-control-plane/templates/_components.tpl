{{- /* The three components as data: proxy (key of its resources), ports (the proxy's inbound), volumes and containers
       (name, resources, admin port, ports, arguments, mounts; the first argument chooses the program). Takes the root. */}}
{{- define "standin.components" -}}
{{- $trustDomain := include "standin.trustDomain" . }}
{{- $any := .Values.disableIPv6 | ternary "0.0.0.0" "[::]" }}
destination:
  proxy: destinationProxyResources
  ports: 8086,8090,8443,9443,9990,9996,9997
  checksum: true
  annotations: {{ toJson .Values.destinationController.podAnnotations }}
  volumes:
    - {name: sp-tls, secret: {secretName: linkerd-sp-validator-k8s-tls}}
    - {name: policy-tls, secret: {secretName: linkerd-policy-validator-k8s-tls}}
  containers:
    - name: destination
      resources: {{ toJson .Values.destinationResources }}
      admin: 9996
      ports: {dest-grpc: 8086, dest-admin: 9996}
      args:
        - destination
        - -addr=:8086
        - -controller-namespace={{ .Release.Namespace }}
        - -cluster-domain={{ .Values.clusterDomain }}
        - -identity-trust-domain={{ $trustDomain }}
        - -default-opaque-ports={{ .Values.proxy.opaquePorts }}
        - -log-level={{ .Values.controllerLogLevel }}
        - -log-format={{ .Values.controllerLogFormat }}
    - name: sp-validator
      resources: {{ toJson .Values.spValidatorResources }}
      admin: 9997
      ports: {sp-validator: 8443, spval-admin: 9997}
      args: [sp-validator, -log-level={{ .Values.controllerLogLevel }}, -log-format={{ .Values.controllerLogFormat }}]
      mounts: [{name: sp-tls, mountPath: /var/run/linkerd/tls, readOnly: true}]
    - name: policy
      resources: {{ toJson .Values.policyController.resources }}
      admin: 9990
      command: [/linkerd-policy-controller]
      ports: {policy-grpc: 8090, policy-admin: 9990, policy-https: 9443}
      args:
        - --admin-addr={{ $any }}:9990
        - --grpc-addr={{ $any }}:8090
        - --server-addr={{ $any }}:9443
        - --server-tls-certs=/var/run/linkerd/tls/tls.crt
        - --server-tls-key=/var/run/linkerd/tls/tls.key
        - --control-plane-namespace={{ .Release.Namespace }}
        - --cluster-networks={{ .Values.clusterNetworks }}
        - --cluster-domain={{ .Values.clusterDomain }}
        - --identity-domain={{ $trustDomain }}
        - --default-policy={{ .Values.proxy.defaultInboundPolicy }}
        - --default-opaque-ports={{ .Values.proxy.opaquePorts }}
        - --log-level={{ .Values.policyController.logLevel }}
        - --log-format={{ .Values.controllerLogFormat }}
        {{- with .Values.policyController.probeNetworks }}
        - --probe-networks={{ join "," . }}
        {{- end }}
      mounts: [{name: policy-tls, mountPath: /var/run/linkerd/tls, readOnly: true}]
identity:
  proxy: identityProxyResources
  ports: 8080,9990
  # Its proxy can't come up before it does: never a native sidecar.
  sidecar: last
  annotations: {{ toJson .Values.identity.podAnnotations }}
  volumes:
    - {name: identity-issuer, secret: {secretName: linkerd-identity-issuer}}
    - {name: trust-roots, configMap: {name: linkerd-identity-trust-roots}}
  containers:
    - name: identity
      resources: {{ toJson .Values.identityResources }}
      admin: 9990
      ports: {ident-grpc: 8080, ident-admin: 9990}
      args:
        - identity
        - -controller-namespace={{ .Release.Namespace }}
        - -identity-trust-domain={{ $trustDomain }}
        - -identity-issuance-lifetime={{ .Values.identity.issuer.issuanceLifetime }}
        - -identity-clock-skew-allowance={{ .Values.identity.issuer.clockSkewAllowance }}
        - -identity-scheme={{ .Values.identity.issuer.scheme }}
        - -log-level={{ .Values.controllerLogLevel }}
        - -log-format={{ .Values.controllerLogFormat }}
      mounts:
        - {name: identity-issuer, mountPath: /var/run/linkerd/identity/issuer}
        - {name: trust-roots, mountPath: /var/run/linkerd/identity/trust-roots}
proxy-injector:
  proxy: proxyInjectorProxyResources
  ports: 8443,9995
  checksum: true
  annotations: {config.linkerd.io/opaque-ports: "8443"}
  volumes:
    - {name: config, configMap: {name: linkerd-config}}
    - {name: trust-roots, configMap: {name: linkerd-identity-trust-roots}}
    - {name: tls, secret: {secretName: linkerd-proxy-injector-k8s-tls}}
  containers:
    - name: proxy-injector
      resources: {{ toJson .Values.proxyInjectorResources }}
      admin: 9995
      ports: {proxy-injector: 8443, injector-admin: 9995}
      args: [proxy-injector, -linkerd-namespace={{ .Release.Namespace }}, -log-level={{ .Values.controllerLogLevel }}, -log-format={{ .Values.controllerLogFormat }}]
      mounts:
        - {name: config, mountPath: /var/run/linkerd/config}
        - {name: trust-roots, mountPath: /var/run/linkerd/identity/trust-roots}
        - {name: tls, mountPath: /var/run/linkerd/tls, readOnly: true}
{{- end }}

{{- /* A component's container. Takes root and one entry of `containers`. */}}
{{- define "standin.container" -}}
{{- $values := .root.Values }}
name: {{ .container.name }}
image: {{ $values.controllerImage }}:{{ $values.controllerImageVersion | default $values.linkerdVersion }}
imagePullPolicy: {{ $values.imagePullPolicy }}
{{- with .container.command }}{{ toYaml (dict "command" .) | nindent 0 }}{{ end }}
args: {{- toYaml .container.args | nindent 2 }}
{{- with .container.ports }}
ports:
  {{- range $name, $port := . }}
  - {name: {{ $name }}, containerPort: {{ $port }}}
  {{- end }}
{{- end }}
{{- with .container.admin }}
livenessProbe:
  httpGet: {path: {{ empty $.container.command | ternary "/ping" "/live" }}, port: {{ . }}}
  initialDelaySeconds: 10
readinessProbe:
  httpGet: {path: /ready, port: {{ . }}}
  failureThreshold: 7
{{- end }}
{{ include "standin.resources" .container.resources }}
{{ include "standin.confined" (dict "uid" $values.controllerUID "gid" $values.controllerGID) }}
volumeMounts:
  - {name: kube-api-access, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true}
  {{- with .container.mounts }}{{ toYaml . | nindent 2 }}{{ end }}
{{- end }}

{{- /* What all pods share: where they run, and as whom. Takes root and component. */}}
{{- define "standin.pod" -}}
serviceAccountName: linkerd-{{ .component }}
automountServiceAccountToken: false
securityContext: {seccompProfile: {type: RuntimeDefault}}
{{- with .root.Values.nodeSelector }}{{ toYaml (dict "nodeSelector" .) | nindent 0 }}{{ end }}
{{- with .root.Values.tolerations }}{{ toYaml (dict "tolerations" .) | nindent 0 }}{{ end }}
{{- with .root.Values.priorityClassName }}{{ toYaml (dict "priorityClassName" .) | nindent 0 }}{{ end }}
{{- end }}

{{- /* A token for the API server, mounted by hand. */}}
{{- define "standin.apiAccess" -}}
- name: kube-api-access
  projected:
    sources:
      - serviceAccountToken: {path: token, expirationSeconds: 3607}
      - configMap: {name: kube-root-ca.crt, items: [{key: ca.crt, path: ca.crt}]}
      - downwardAPI: {items: [{path: namespace, fieldRef: {fieldPath: metadata.namespace}}]}
{{- end }}
