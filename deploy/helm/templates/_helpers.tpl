{{- /*
The objects are those of the overlays, made from the same files: files/ leads to deploy/base and deploy/components. A
template says what there the kustomization.yaml of a component says.
*/}}

{{- /* A file's text, with this release's namespace and image. (dict "root" $ "file" PATH) */}}
{{- define "strata.text" -}}
{{- $text := .root.Files.Get (printf "files/%s" .file) | required (printf "%s isn't in the chart" .file) }}
{{- $text = regexReplaceAll `(?m)(\bnamespace"?: "?)strata("?,?)$` $text (printf "${1}%s${2}" .root.Release.Namespace) }}
{{- $text = replace ".strata.svc" (printf ".%s.svc" .root.Release.Namespace) $text }}
{{- regexReplaceAll `\blocalhost/strata:\S+` $text (include "strata.image" .root) }}
{{- end }}

{{- define "strata.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "strata.labels" -}}
app.kubernetes.io/name: strata
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion }}
app.kubernetes.io/part-of: strata
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* An object with the labels. (dict "root" $ "object" OBJECT) */}}
{{- define "strata.write" -}}
{{- $metadata := .object.metadata }}
{{- $labels := include "strata.labels" .root | fromYaml }}
{{- $_ := set $metadata "labels" (mergeOverwrite (default dict $metadata.labels) $labels) }}
---
{{ toYaml .object }}
{{ end }}

{{- /* Every object of a file. (dict "root" $ "file" PATH) */}}
{{- define "strata.file" -}}
{{- $root := .root }}
{{- range splitList "\n---\n" (include "strata.text" .) }}
{{- $object := fromYaml . }}
{{- if eq $object.kind "APIService" }}
{{- include "strata.trust" (dict "root" $root "object" $object) }}
{{- end }}
{{- include "strata.write" (dict "root" $root "object" $object) }}
{{- end }}
{{- end }}

{{- /* How kube-apiserver knows the serving certificate. (dict "root" $ "object" APISERVICE) */}}
{{- define "strata.trust" -}}
{{- $serving := .root.Values.serving }}
{{- if eq $serving.from "cert-manager" }}
{{- $by := printf "%s/strata-serving" .root.Release.Namespace }}
{{- $_ := set .object.metadata "annotations" (dict "cert-manager.io/inject-ca-from" $by) }}
{{- else if eq $serving.from "service-ca" }}
{{- $_ := set .object.metadata "annotations" (dict "service.beta.openshift.io/inject-cabundle" "true") }}
{{- else if eq $serving.from "secret" }}
{{- $pem := required "serving.caBundle is needed with serving.from=secret" $serving.caBundle }}
{{- $_ := set .object.spec "caBundle" (b64enc $pem) }}
{{- else }}
{{- $_ := set .object.spec "insecureSkipTLSVerify" true }}
{{- end }}
{{- end }}

{{- /* A Secret with ca.crt, tls.crt and tls.key, in a pod's container. (dict "pod" POD "name" VOLUME "secret" NAME "path" DIR) */}}
{{- define "strata.mount" -}}
{{- $container := first .pod.containers }}
{{- $mount := dict "name" .name "mountPath" .path "readOnly" true }}
{{- $volume := dict "name" .name "secret" (dict "secretName" .secret) }}
{{- $_ := set $container "volumeMounts" (append $container.volumeMounts $mount) }}
{{- $_ := set .pod "volumes" (append (default list .pod.volumes) $volume) }}
{{- end }}
