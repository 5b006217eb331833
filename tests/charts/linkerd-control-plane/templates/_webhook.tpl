{{- /* What tells the three webhooks apart. */}}
{{- define "standin.webhookTable" -}}
proxy-injector:
  kind: MutatingWebhookConfiguration
  component: proxy-injector
  values: proxyInjector
  rules:
    - {operations: [CREATE], apiGroups: [""], apiVersions: [v1], resources: [pods, services], scope: Namespaced}
sp-validator:
  kind: ValidatingWebhookConfiguration
  component: destination
  values: profileValidator
  rules:
    - {operations: [CREATE, UPDATE], apiGroups: [linkerd.io], apiVersions: [v1alpha1, v1alpha2], resources: [serviceprofiles]}
policy-validator:
  kind: ValidatingWebhookConfiguration
  component: destination
  values: policyValidator
  rules:
    - operations: [CREATE, UPDATE]
      apiGroups: [policy.linkerd.io]
      apiVersions: ["*"]
      resources: [authorizationpolicies, egressnetworks, httplocalratelimitpolicies, httproutes, meshtlsauthentications,
                  networkauthentications, serverauthorizations, servers]
    - operations: [CREATE, UPDATE]
      apiGroups: [gateway.networking.k8s.io]
      apiVersions: ["*"]
      resources: [grpcroutes, httproutes, tcproutes, tlsroutes]
{{- end }}

{{- /* A webhook's Secret, unless others bring it, and its configuration. Takes root and webhook. Without a certificate in
       the values each render makes up a new one. */}}
{{- define "standin.webhook" }}
{{- $facts := get (include "standin.webhookTable" . | fromYaml) .webhook }}
{{- $values := get .root.Values $facts.values }}
{{- $injected := or $values.injectCaFrom $values.injectCaFromSecret }}
{{- if and $values.injectCaFrom $values.injectCaFromSecret }}
{{- fail (printf "%s: injectCaFrom and injectCaFromSecret exclude each other" $facts.values) }}
{{- else if and $injected $values.caBundle }}
{{- fail (printf "%s: a caBundle is either given or injected" $facts.values) }}
{{- else if and $values.externalSecret (not $values.caBundle) (not $injected) }}
{{- fail (printf "%s: externalSecret wants a caBundle, injectCaFrom or injectCaFromSecret" $facts.values) }}
{{- else if and $injected (not $values.externalSecret) }}
{{- fail (printf "%s: an injected CA wants externalSecret" $facts.values) }}
{{- end }}
{{- $host := printf "linkerd-%s.%s.svc" .webhook .root.Release.Namespace }}
{{- $pair := dict "Cert" $values.crtPEM "Key" $values.keyPEM }}
{{- if and (not $values.crtPEM) (not $values.externalSecret) }}
{{- $made := genSelfSignedCert $host nil (list $host) 365 }}
{{- $pair = dict "Cert" $made.Cert "Key" $made.Key }}
{{- end }}
{{- if not $values.externalSecret }}
---
apiVersion: v1
kind: Secret
type: kubernetes.io/tls
metadata: {{- include "standin.metadata" (dict "root" .root "name" (printf "linkerd-%s-k8s-tls" .webhook) "component" $facts.component) | nindent 2 }}
data: {tls.crt: {{ $pair.Cert | trim | b64enc }}, tls.key: {{ $pair.Key | trim | b64enc }}}
{{- end }}
---
apiVersion: admissionregistration.k8s.io/v1
kind: {{ $facts.kind }}
{{- $more := dict }}
{{- with $values.injectCaFrom }}{{ $_ := set $more "cert-manager.io/inject-ca-from" . }}{{ end }}
{{- with $values.injectCaFromSecret }}{{ $_ := set $more "cert-manager.io/inject-ca-from-secret" . }}{{ end }}
metadata: {{- include "standin.metadata" (dict "root" .root "name" (printf "linkerd-%s-webhook-config" .webhook) "component" $facts.component "global" true "annotations" $more) | nindent 2 }}
webhooks:
  - name: linkerd-{{ .webhook }}.linkerd.io
    admissionReviewVersions: [v1, v1beta1]
    failurePolicy: {{ .root.Values.webhookFailurePolicy }}
    sideEffects: None
    {{- with $values.timeoutSeconds }}
    timeoutSeconds: {{ . }}
    {{- end }}
    clientConfig:
      service: {name: linkerd-{{ .webhook }}, namespace: {{ .root.Release.Namespace }}, path: /}
      {{- if not $injected }}
      caBundle: {{ $values.caBundle | default $pair.Cert | trim | b64enc }}
      {{- end }}
    namespaceSelector: {{- toYaml $values.namespaceSelector | nindent 6 }}
    {{- with $values.objectSelector }}
    objectSelector: {{- toYaml . | nindent 6 }}
    {{- end }}
    rules: {{- toYaml $facts.rules | nindent 6 }}
{{- end }}
