# Removes images from the node that this pod runs on, and says "gone" only when its runtime holds nothing of them any more.
# Arguments: full image names. Environment: SOCKET of the runtime, NAMESPACE and CONTAINER of the study's pods, POD_UID,
# WAIT in seconds.
# Needs sh, chroot, awk, date, grep, sleep, tee, and at /host the node's file system with ctr or crictl.
export TZ=UTC
PATIENCE=60 # for pulls that were under way when this began, whatever they pull
end=$(($(date +%s) + WAIT)) patient_until=$(($(date +%s) + PATIENCE)) began=$(date +%Y-%m-%dT%H:%M:%SZ)

host() { chroot /host "$@"; }
has() { host sh -c 'command -v "$0"' "$1" >/dev/null 2>&1 || [ -x "/host/usr/bin/$1" ]; }
said() { echo "$1" | tee /dev/termination-log; }
ctr() { host ctr -a "$SOCKET" -n k8s.io "$@"; }
cri() { host crictl -r "unix://$SOCKET" "$@"; }

# The runtime asked has to be the one that runs this pod: another one has none of the images, which proves nothing.
ours_by_ctr() { has ctr && ctr containers ls -q "labels.\"io.kubernetes.pod.uid\"==$POD_UID" 2>/dev/null | grep -q .; }
ours_by_crictl() { has crictl && cri ps -q --label "io.kubernetes.pod.uid=$POD_UID" 2>/dev/null | grep -q .; }

# What the runtime has now, in variables: where it does not answer nothing is known, and nothing is said to be gone.
look() {
  images=$(ctr images ls 2>/dev/null) && content=$(ctr content ls) && all=$(ctr containers ls) &&
    mine=$(ctr containers ls -q "$STUDYS") && tasks=$(ctr tasks ls)
}
STUDYS="labels.\"io.kubernetes.pod.namespace\"==$NAMESPACE,labels.\"io.kubernetes.container.name\"==$CONTAINER"

# Every name that the images have: containerd keeps a tag, a digest and an id of each.
names() {
  echo "$images" | awk -v wanted="$*" '
    BEGIN { n = split(wanted, list, " "); for (i = 1; i <= n; i++) want[list[i]] }
    { digest[$1] = $3 }
    $1 in want { found[$3] }
    END { for (name in digest) if (digest[name] in found) print name }'
}

# Containers of these names that have a snapshot, dead ones too, for it holds the layers: container:snapshotter:snapshot
users() {
  for container in $(echo "$all" | awk -v wanted="$*" '
    BEGIN { n = split(wanted, list, " "); for (i = 1; i <= n; i++) want[list[i]] }
    $2 in want { print $1 }'); do
    snapshot=$(ctr containers info "$container" 2>/dev/null | awk -F '"' '
      $2 == "SnapshotKey" { key = $4 }
      $2 == "Snapshotter" { by = $4 }
      END { print by ":" key }')
    ctr snapshots --snapshotter "${snapshot%%:*}" info "${snapshot#*:}" >/dev/null 2>&1 && echo "$container:$snapshot"
  done
}

# The kubelet takes the containers of a pod that is gone away within a minute. The study's need not wait for it without
# their snapshots. To take a container itself away would leave the kubelet with one that it can never remove (containerd 1.6).
strip_dead() {
  for user in $(users "$@"); do
    container=${user%%:*} snapshot=${user#*:}
    case " $(echo $mine) " in *" $container "*) ;; *) continue ;; esac
    echo "$tasks" | awk -v c="$container" '$1 == c && $3 != "STOPPED" { found = 1 } END { exit !found }' && continue
    ctr snapshots --snapshotter "${snapshot%%:*}" rm "${snapshot#*:}" >/dev/null 2>&1
  done
}

pod_of() {
  ctr containers info "$1" 2>/dev/null | awk -F '"' '
    $2 == "io.kubernetes.pod.namespace" { namespace = $4 }
    $2 == "io.kubernetes.pod.name" { pod = $4 }
    END { print "pod " namespace "/" pod }'
}

# Repositories of the images of which manifests or configurations are there although no image is: a pull goes on when its
# pod is gone, and one that was cut off by a restart of containerd leaves its layers leased for a day. Where another image
# of the repository is on the node, the marks of both look alike, and nothing is said.
held() {
  echo "$content" | awk -v wanted="$*" -v present="$(echo "$images" | awk '{ printf "%s ", $1 }')" '
    function repository(name, slash, host) {
      sub(/@.*/, "", name); sub(/:[^:\/]*$/, "", name)
      slash = index(name, "/"); host = substr(name, 1, slash - 1); sub(/:[0-9]+$/, "", host)
      return host substr(name, slash)
    }
    BEGIN {
      n = split(wanted, list, " "); for (i = 1; i <= n; i++) want[repository(list[i])]
      n = split(present, list, " "); for (i = 1; i <= n; i++) delete want[repository(list[i])]
    }
    $NF ~ /containerd\.io\/gc\.ref\./ {
      n = split($NF, labels, ","); key = ""
      for (i = 1; i <= n; i++) {
        at = index(labels[i], "=")
        if (at) key = substr(labels[i], 1, at - 1)
        place = key; value = at ? substr(labels[i], at + 1) : labels[i]
        if (sub(/^containerd\.io\/distribution\.source\./, "", place) && (place "/" value) in want) found[place "/" value]
      }
    }
    END { for (name in found) print name }'
}

# Leases that will expire: each pull has one, from before it asks the registry until its image is named. By second, in UTC.
leases() {
  started=$(date -r "/host$SOCKET" +%Y-%m-%dT%H:%M:%SZ 2>/dev/null)
  ctr leases ls | awk -v started="$started" -v began="$began" -v which="$1" '
    /gc\.expire=/ && $2 ~ /Z$/ && (which == "dead" ? $2 < started : $2 >= started && $2 <= began) { print $1 }'
}

# One that is older than the runtime's socket is of a pull that died with an earlier containerd.
drop_dead_leases() {
  for lease in $(leases dead); do
    ctr leases rm --sync "$lease" >/dev/null
  done
}

try_by_ctr() {
  if [ "$(date +%s)" -lt "$patient_until" ] && [ -n "$(leases alive)" ]; then
    why="a pull is under way"
    return 1
  fi
  look || { why="the runtime at $SOCKET does not answer"; return 1; }
  known="$* $(echo $(names "$@"))"
  strip_dead $known
  look || return 1
  user=$(echo $(users $known))
  [ -z "$user" ] || { why="in use by $(pod_of "${user%%:*}")"; return 1; }
  found=$(names "$@")
  [ -z "$found" ] || ctr images rm --sync $found >/dev/null
  look || return 1
  left=$(echo $(names "$@"))
  [ -z "$left" ] || { why="left: $left"; return 1; }
  unfinished=$(echo $(held "$@"))
  [ -z "$unfinished" ] || { why="a pull of ${unfinished%% *} is under way"; drop_dead_leases; return 1; }
}

clear_by_ctr() {
  until try_by_ctr "$@"; do
    [ "$(date +%s)" -lt "$end" ] || { said "$why"; exit 1; }
    sleep 1
  done
  said "gone by ctr"
  exit 0
}

# The study's dead containers of an image. Those of others are theirs, and so are their logs.
dead_of() {
  cri ps -a -q --state exited --image "$1" \
    --label "io.kubernetes.pod.namespace=$NAMESPACE" --label "io.kubernetes.container.name=$CONTAINER"
}

# crictl fails in the same way where an image is not there and where the runtime does not answer.
answers() { cri images -q >/dev/null 2>&1 || { why="the runtime at $SOCKET does not answer"; return 1; }; }

try_by_crictl() {
  why=""
  answers || return 1
  for image in "$@"; do
    cri inspecti -q "$image" >/dev/null 2>&1 || continue
    for dead in $(dead_of "$image"); do cri rm "$dead" >/dev/null; done
    cri rmi "$image" >/dev/null 2>&1
    cri inspecti -q "$image" >/dev/null 2>&1 && why="left: $image"
  done
  answers && [ -z "$why" ]
}

clear_by_crictl() {
  until try_by_crictl "$@"; do
    [ "$(date +%s)" -lt "$end" ] || { said "$why"; exit 1; }
    sleep 1
  done
  said "gone by crictl"
  exit 0
}

if ours_by_ctr; then clear_by_ctr "$@"; fi
if ours_by_crictl; then clear_by_crictl "$@"; fi
said "neither ctr nor crictl on the node finds this pod at $SOCKET; set kubeconfig.runtime_socket or kubeconfig.clear_command"
exit 1
