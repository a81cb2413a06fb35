{{/* What no single value can tell: values that are fine alone and wrong together. All that is wrong is said at once, each with the mend. */}}

{{- define "mlrun-gitops.checks" -}}
{{- $wrong := list -}}
{{- $v := .Values -}}
{{- $sqlite := eq $v.store.kind "sqlite" -}}
{{- $launcher := dig "launcher" dict $v.config -}}

{{- if not $v.image.repository -}}
{{- $wrong = append $wrong "image.repository is empty: build the image with the Dockerfile, push it to a registry of yours, and name it here" -}}
{{- end -}}
{{- if not (concat $v.auth.tokens (dig "auth" "tokens" list $v.config)) -}}
{{- $wrong = append $wrong "auth.tokens is empty, and the API must not be open to the cluster: put a token into a Secret, name it in auth.existingSecret, and its key in auth.tokens" -}}
{{- end -}}
{{- if and $v.auth.tokens (not $v.auth.existingSecret) -}}
{{- $wrong = append $wrong "auth.existingSecret is empty: name the Secret that has the keys of auth.tokens" -}}
{{- end -}}

{{- /* The store */ -}}
{{- if and $sqlite (gt (int $v.replicas) 1) -}}
{{- $wrong = append $wrong (printf "replicas is %d, and a store of sqlite has room for one pod: set replicas to 1, or store.kind to postgresql" (int $v.replicas)) -}}
{{- end -}}
{{- if and $sqlite $v.autoscaling.enabled -}}
{{- $wrong = append $wrong "autoscaling.enabled is true, and a store of sqlite has room for one pod: set it to false, or store.kind to postgresql" -}}
{{- end -}}
{{- if and $sqlite (not $v.persistence.enabled) (not $v.persistence.ephemeral) -}}
{{- $wrong = append $wrong "persistence.enabled is false, and a store of sqlite would be gone with its pod: set it to true, or persistence.ephemeral to true if that is meant" -}}
{{- end -}}
{{- if and (not $sqlite) (not $v.store.postgresql.existingSecret) -}}
{{- $wrong = append $wrong "store.postgresql.existingSecret is empty: name the Secret that holds the database's address" -}}
{{- end -}}
{{- $several := or $v.autoscaling.enabled (gt (int $v.replicas) 1) -}}
{{- if and (not $sqlite) $several $v.persistence.enabled (not (has "ReadWriteMany" $v.persistence.accessModes)) -}}
{{- $wrong = append $wrong "persistence.accessModes has no ReadWriteMany, so that several pods cannot share the volume: add it, or set persistence.enabled to false" -}}
{{- end -}}

{{- /* Pods */ -}}
{{- if and $v.podDisruptionBudget.enabled (not $v.autoscaling.enabled) (eq (int $v.replicas) 1) -}}
{{- $wrong = append $wrong "podDisruptionBudget.enabled is true with a single pod, whose node could never be drained: set it to false, or replicas to 2 or more" -}}
{{- end -}}
{{- if and $v.autoscaling.enabled (gt (int $v.autoscaling.minReplicas) (int $v.autoscaling.maxReplicas)) -}}
{{- $wrong = append $wrong "autoscaling.minReplicas is more than autoscaling.maxReplicas: swap them" -}}
{{- end -}}
{{- if and (not $v.serviceAccount.create) (not $v.serviceAccount.name) -}}
{{- $wrong = append $wrong "serviceAccount.name is empty while serviceAccount.create is false: name the one that is there already" -}}
{{- end -}}
{{- if and (not $v.runner.serviceAccount.create) (not $v.runner.serviceAccount.name) -}}
{{- $wrong = append $wrong "runner.serviceAccount.name is empty while runner.serviceAccount.create is false: name the one that is there already" -}}
{{- end -}}

{{- /* Ways in */ -}}
{{- if and $v.ingress.enabled $v.httpRoute.enabled -}}
{{- $wrong = append $wrong "ingress.enabled and httpRoute.enabled are both true: leave one of them" -}}
{{- end -}}
{{- if and $v.ingress.enabled (not $v.ingress.host) -}}
{{- $wrong = append $wrong "ingress.host is empty: write the host name that forges call" -}}
{{- end -}}
{{- if and $v.httpRoute.enabled (not (and $v.httpRoute.hostnames $v.httpRoute.parentRefs)) -}}
{{- $wrong = append $wrong "httpRoute.hostnames or httpRoute.parentRefs is empty: write the host name that forges call, and the Gateway that it comes by" -}}
{{- end -}}
{{- if and $v.httpRoute.enabled (not (include "mlrun-gitops.routeVersion" .)) -}}
{{- $wrong = append $wrong "httpRoute.enabled is true, and this cluster has no Gateway API: install it, or use ingress; without a cluster, helm needs --api-versions gateway.networking.k8s.io/v1/HTTPRoute" -}}
{{- end -}}

{{- /* Runners */ -}}
{{- $namespaces := include "mlrun-gitops.namespaces" . | fromJsonArray -}}
{{- if not $namespaces -}}
{{- $wrong = append $wrong "runner.namespaces is empty, so that the service could run nothing: name a namespace" -}}
{{- end -}}
{{- $chosen := dig "kubernetes" "namespace" "" $launcher -}}
{{- if and $namespaces $chosen (not (has $chosen $namespaces)) -}}
{{- $wrong = append $wrong (printf "config.launcher.kubernetes.namespace is %s, in which the service has no rights: add it to runner.namespaces" $chosen) -}}
{{- end -}}
{{- if not (has (dig "kind" "kubernetes" $launcher) (list "kubernetes" "mlrun")) -}}
{{- $wrong = append $wrong (printf "config.launcher.kind is %s, and in a cluster code of repositories runs in pods of its own only: leave it out" $launcher.kind) -}}
{{- end -}}
{{- if regexMatch "(^|[, ])process($|[, ])" (dig "policy" "launchers" list $v.config | toStrings | join ",") -}}
{{- $wrong = append $wrong "config.policy.launchers has process, and in a cluster code of repositories runs in pods of its own only: leave it out" -}}
{{- end -}}

{{- if eq (dig "loads" "kubernetes" $launcher) "process" -}}
{{- $wrong = append $wrong "config.launcher.loads is process, and in a cluster code of repositories runs in pods of its own only: leave it out" -}}
{{- end -}}

{{- /* MLRun's API */ -}}
{{- $byMlrun := or (eq (dig "kind" "" $launcher) "mlrun") (regexMatch "(^|[, ])mlrun($|[, ])" (dig "policy" "launchers" list $v.config | toStrings | join ",")) -}}
{{- if and $byMlrun (not $v.mlrun.api) -}}
{{- $wrong = append $wrong "config.launcher.kind or config.policy.launchers has mlrun, and there is no MLRun to run anything: write its address into mlrun.api" -}}
{{- end -}}
{{- $shown := include "mlrun-gitops.mlrunKeys" . | fromJson -}}
{{- if and $shown (not $v.mlrun.existingSecret) -}}
{{- $wrong = append $wrong "mlrun.existingSecret is empty: name the Secret that has the keys of mlrun.tokenKey, mlrun.accessKeyKey and mlrun.runnerTokenKey" -}}
{{- end -}}
{{- if and $v.mlrun.existingSecret (not $shown) -}}
{{- $wrong = append $wrong "mlrun.existingSecret is named and none of its keys: set mlrun.tokenKey or mlrun.accessKeyKey, and mlrun.runnerTokenKey, or leave it empty" -}}
{{- end -}}
{{- if and $v.mlrun.existingSecret (not $v.mlrun.api) -}}
{{- $wrong = append $wrong "mlrun.api is empty, and mlrun.existingSecret would be shown to nobody: write the address of the MLRun API" -}}
{{- end -}}
{{- if and $v.mlrun.tokenKey $v.mlrun.accessKeyKey -}}
{{- $wrong = append $wrong "mlrun.tokenKey and mlrun.accessKeyKey are both set: leave the one that the MLRun API asks for" -}}
{{- end -}}

{{- if eq (int $v.healthPort) (int $v.containerPort) -}}
{{- $wrong = append $wrong (printf "healthPort and containerPort are both %d: give one of them another port" (int $v.healthPort)) -}}
{{- end -}}

{{- /* The end of a pod */ -}}
{{- $drain := dig "server" "drain" (ternary 0 5 $sqlite) $v.config | toString -}}
{{- $seconds := $drain | trimSuffix "s" | trimSuffix "m" | float64 -}}
{{- if hasSuffix "m" $drain }}{{ $seconds = mulf $seconds 60 }}{{ end -}}
{{- $needed := addf $seconds 20 | ceil | int -}}
{{- if lt (int $v.terminationGracePeriodSeconds) $needed -}}
{{- $wrong = append $wrong (printf "terminationGracePeriodSeconds is %d, and a pod takes up to %d s to end (config.server.drain and 20): set it to that or more" (int $v.terminationGracePeriodSeconds) $needed) -}}
{{- end -}}

{{- /* Settings that are the chart's, and secrets */ -}}
{{- range $key, $mend := dict "data_dir" "it lies on the volume of persistence" "store" "use store.kind and store.postgresql" "server.host" "it is 0.0.0.0" "server.port" "use containerPort, and service.port" "server.health_port" "use healthPort" "mlrun.api" "use mlrun.api" "mlrun.token_file" "use mlrun.existingSecret and mlrun.tokenKey" "mlrun.access_key_file" "use mlrun.existingSecret and mlrun.accessKeyKey" "launcher.runner_python" "runners have their image's" "launcher.runs_dir" "pods have no such folder" "launcher.cache_dir" "pods have no such folder" "launcher.user" "use config.launcher.kubernetes" "launcher.warm" "pods start cold" "launcher.trusted" "pods have a user of their own" "launcher.kubernetes.kubeconfig" "the service has an account in the cluster" "launcher.kubernetes.context" "the service has an account in the cluster" -}}
{{- $path := splitList "." $key -}}
{{- $section := $v.config -}}
{{- range initial $path }}{{ $section = dig . dict $section }}{{ end -}}
{{- if hasKey $section (last $path) -}}
{{- $wrong = append $wrong (printf "config.%s is the chart's to say: leave it out, %s" $key $mend) -}}
{{- end -}}
{{- end -}}
{{- $seen := dict "inline" list "files" list -}}
{{- include "mlrun-gitops.look" (dict "here" $v.config "path" "config" "handler" false "seen" $seen) -}}
{{- range $seen.inline -}}
{{- $wrong = append $wrong (printf "%s is a secret, and a ConfigMap would show it: put it into a Secret, name that in secrets, and its file in %s_file" . .) -}}
{{- end -}}
{{- range $seen.files -}}
{{- $folder := trimPrefix "/etc/mlrun-gitops/secrets/" .file | splitList "/" | first -}}
{{- if and (hasPrefix "/etc/mlrun-gitops/secrets/" .file) (not (hasKey $v.secrets $folder)) -}}
{{- $wrong = append $wrong (printf "%s names a file below %s, which is not mounted: add %s to secrets" .path $folder $folder) -}}
{{- end -}}
{{- end -}}
{{- range $name, $value := dig "kubernetes" "env" dict $launcher -}}
{{- if and (kindIs "string" $value) (regexMatch "(?i)token|secret|password|passwd|credential|api_?key" $name) -}}
{{- $wrong = append $wrong (printf "config.launcher.kubernetes.env.%s looks like a secret, and a ConfigMap would show it: put it into a Secret of the runners' namespace, and write {secretKeyRef: {name: ..., key: ...}}" $name) -}}
{{- end -}}
{{- end -}}
{{- range $v.extraEnv -}}
{{- if regexMatch "^GITOPS_(CONFIG$|DATA_DIR|STORE|AUTH|SERVER__(HOST|PORT)$|LAUNCHER(__KIND|__LOADS)?$|POLICY(__LAUNCHERS)?$)" .name -}}
{{- $wrong = append $wrong (printf "extraEnv has %s, which would win over what the chart says: use the chart's values, or config" .name) -}}
{{- end -}}
{{- if and (hasKey . "value") (regexMatch "^GITOPS_.*(TOKEN|SECRET|PASSWORD|KEY|STORE__URL|DSN)" .name) (not (hasSuffix "_FILE" .name)) -}}
{{- $wrong = append $wrong (printf "extraEnv has %s with a value, which everybody sees who may look at pods: put it into a Secret, and name its file in config" .name) -}}
{{- end -}}
{{- end -}}

{{- if $wrong -}}
{{- fail (printf "\n%s\n" (join "\n" $wrong)) -}}
{{- end -}}
{{- end -}}

{{/* Walk the settings; into `seen` go the paths where a secret stands in the open, and every file that is named. */}}
{{- define "mlrun-gitops.look" -}}
{{- $ := . -}}
{{- if kindIs "slice" .here -}}
{{- range $i, $one := .here -}}
{{- include "mlrun-gitops.look" (dict "here" $one "path" (printf "%s[%d]" $.path $i) "handler" $.handler "seen" $.seen) -}}
{{- if and (kindIs "string" $one) (eq $.path "config.auth.tokens") }}{{ $_ := set $.seen "inline" (append $.seen.inline (printf "%s[%d].token" $.path $i)) }}{{ end -}}
{{- end -}}
{{- else if kindIs "map" .here -}}
{{- range $key, $one := .here -}}
{{- $path := printf "%s.%s" $.path $key -}}
{{- if hasSuffix "_file" $key -}}
{{- $_ := set $.seen "files" (append $.seen.files (dict "path" $path "file" ($one | toString))) -}}
{{- else if and $one (ne ($one | toString) "insecure") (or (has $key (list "token" "access_key" "ssh_key" "runner_token" "webhook_secrets")) (and $.handler (regexMatch "(?i)url|token|secret|password|key|dsn|auth" $key))) -}}
{{- $_ := set $.seen "inline" (append $.seen.inline $path) -}}
{{- else -}}
{{- include "mlrun-gitops.look" (dict "here" $one "path" $path "handler" (or $.handler (eq $.path "config.handlers")) "seen" $.seen) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
