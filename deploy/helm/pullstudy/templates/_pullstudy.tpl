{{- define "pullstudy.labels" -}}
app.kubernetes.io/part-of: pullstudy
{{- end }}

{{- /* (list ROOT NAME): of an object in the release's namespace; labels may follow. */ -}}
{{- define "pullstudy.metadata" -}}
name: {{ index . 1 }}
namespace: {{ (index . 0).Release.Namespace }}
labels:
  {{- include "pullstudy.labels" . | nindent 2 }}
{{- end }}

{{- /* (list NAME DATA): a ConfigMap's name with the hash that kustomize adds, so that pods start anew when its data change.
As kustomize's api/hasher makes it of the data alone: it looks for the name in a place where none is. */ -}}
{{- define "pullstudy.hashed" -}}
{{- $hash := dict "kind" "ConfigMap" "name" "" "data" (index . 1) | toRawJson | sha256sum | trunc 10 -}}
{{ index . 0 }}-{{ $hash | replace "0" "g" | replace "1" "h" | replace "3" "k" | replace "a" "m" | replace "e" "t" }}
{{- end }}

{{- define "pullstudy.settings" -}}
cluster: {{ .Values.cluster | quote }}
{{- end }}

{{- define "pullstudy.edges" -}}
{{- with .Values.kafka.bootstrap }}
kafka: {{ . | quote }}
{{- end }}
{{- with .Values.influxdb }}
{{- if .url }}
influx: {{ .url | quote }}
organisation: {{ .organisation | quote }}
bucket: {{ .bucket | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- define "pullstudy.settingsName" -}}
{{ include "pullstudy.hashed" (list "collector" (include "pullstudy.settings" . | fromYaml)) }}
{{- end }}

{{- define "pullstudy.edgesName" -}}
{{ include "pullstudy.hashed" (list "edges" (include "pullstudy.edges" . | fromYaml)) }}
{{- end }}

{{- /* (list EDGES VARIABLE KEY) */ -}}
{{- define "pullstudy.fromEdges" -}}
- name: {{ index . 1 }}
  valueFrom: {configMapKeyRef: {name: {{ index . 0 }}, key: {{ index . 2 }}}}
{{- end }}

{{- define "pullstudy.kafkaVariables" -}}
{{ include "pullstudy.fromEdges" (list (include "pullstudy.edgesName" .) "KAFKA" "kafka") }}
{{- range $name, $value := .Values.kafka.environment }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{- define "pullstudy.influxVariables" -}}
{{- $edges := include "pullstudy.edgesName" . }}
{{ include "pullstudy.fromEdges" (list $edges "INFLUX" "influx") }}
{{ include "pullstudy.fromEdges" (list $edges "INFLUXDB_V2_ORG" "organisation") }}
{{ include "pullstudy.fromEdges" (list $edges "INFLUXDB_V2_BUCKET" "bucket") }}
- name: INFLUXDB_V2_TOKEN_FILE # read again at each request: the Secret may be rewritten
  value: /run/influxdb/token
{{- range $name, $value := .Values.influxdb.environment }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{- /* (list NAME PATH), and (list NAME SECRET): a Secret's files. */ -}}
{{- define "pullstudy.mount" -}}
- name: {{ index . 0 }}
  mountPath: {{ index . 1 }}
  readOnly: true
{{- end }}

{{- define "pullstudy.secretVolume" -}}
- name: {{ index . 0 }}
  secret:
    secretName: {{ index . 1 }}
{{- end }}

{{- /* (list PATH VALUES) */ -}}
{{- define "pullstudy.probe" -}}
httpGet: {path: {{ index . 0 }}, port: metrics}
{{ toYaml (index . 1) }}
{{- end }}

{{- define "pullstudy.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "pullstudy.kafkaPorts" -}}
{{- range splitList "," .Values.kafka.bootstrap }}
- {protocol: TCP, port: {{ splitList ":" . | last }}}
{{- end }}
{{- end }}

{{- /* The address's port, else its scheme's. */ -}}
{{- define "pullstudy.influxPorts" -}}
{{- $address := urlParse .Values.influxdb.url }}
{{- $port := regexFind ":[0-9]+$" $address.host | trimPrefix ":" }}
- {protocol: TCP, port: {{ $port | default (ternary "443" "80" (eq $address.scheme "https")) }}}
{{- end }}

{{- define "pullstudy.scraped" -}}
- from:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: {{ .Values.monitoring.namespace }}
  ports:
    - {protocol: TCP, port: 8080}
{{- end }}

{{- define "pullstudy.names" -}}
- to:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: {{ .Values.network.dnsNamespace }}
  ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
{{- end }}

{{- /* (list ROOT WORKLOAD): where its pods run. */ -}}
{{- define "pullstudy.placed" -}}
{{- $root := index . 0 }}
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with (index . 1).nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with (index . 1).tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "pullstudy.imageOf" -}}
image: {{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- with .Values.image.pullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
{{- end }}

{{- /* (list ROOT NAME) */ -}}
{{- define "pullstudy.service" -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "pullstudy.metadata" . | nindent 2 }}
    app.kubernetes.io/name: {{ index . 1 }}
spec:
  clusterIP: None
  publishNotReadyAddresses: true
  selector:
    app.kubernetes.io/name: {{ index . 1 }}
  ports:
    - name: metrics
      port: 8080
      targetPort: metrics
{{- end }}

{{- /* (list ROOT NAME) */ -}}
{{- define "pullstudy.budget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "pullstudy.metadata" . | nindent 2 }}
spec:
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      app.kubernetes.io/name: {{ index . 1 }}
{{- end }}
