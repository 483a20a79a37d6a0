#!/usr/bin/env bash
# Starts a Docker engine by hand where none answers (a container or CI machine without systemd). Needs root.
# Leaves it running; `scripts/start-docker.sh --stop` ends the one this script started, by its own pid file.
#
# A second engine beside another one: CESTX_DOCKERD_STATE=<folder> scripts/start-docker.sh <more words for dockerd>
# with DOCKER_HOST=unix://<socket> and at least --data-root, --exec-root and a bridge of its own among the words.
set -euo pipefail

state=${CESTX_DOCKERD_STATE:-/run/cestx-dockerd}
pidfile=$state/dockerd.pid
log=$state/dockerd.log

# /proc is asked for the name because a pid file may outlive its process and the number be somebody else's by now, and for
# the state because a killed engine that nobody has waited for yet still has its name.
ours_runs() { [[ -s $pidfile ]] && [[ $(cut -d' ' -f2,3 "/proc/$(cat "$pidfile")/stat" 2>/dev/null) == '(dockerd) '[^ZX] ]]; }

if [[ ${1:-} == --stop ]]; then
  ours_runs || { echo 'no engine that this script started is running' >&2; exit 0; }
  pid=$(cat "$pidfile")
  kill -TERM "$pid"
  for _ in $(seq 300); do [[ -d /proc/$pid ]] || exit 0; sleep 0.1; done
  echo "dockerd ($pid) has not ended within 30 s of SIGTERM" >&2
  exit 1
fi

if docker info >/dev/null 2>&1; then
  echo 'a Docker engine answers already' >&2
  exit 0
fi
if ! command -v dockerd >/dev/null; then
  echo 'dockerd is not installed; on Debian: apt-get install docker.io' >&2
  exit 1
fi
if [[ $(id -u) != 0 ]]; then
  echo 'starting dockerd needs root' >&2
  exit 1
fi

words=("$@" --pidfile "$pidfile")
[[ -n ${DOCKER_HOST:-} ]] && words+=(--host "$DOCKER_HOST")
# With containers kept apart on its own bridge, functions can be there, and start faster than on one of theirs.
[[ " ${words[*]} " == *" --icc"* ]] || words+=(--icc=false)
# `runtime: crun` of a function works where crun is installed (Debian package crun).
[[ -x /usr/bin/crun ]] && words+=(--add-runtime crun=/usr/bin/crun)

mkdir -p "$state"
if ! ours_runs; then
  # Both the engine and its containerd leave such files behind when they are killed, and refuse to start beside them.
  rm -f "$pidfile"
  [[ -n ${DOCKER_HOST:-} ]] || rm -f /var/run/docker.pid
  # crun refuses cgroup v1 with a v2 hierarchy mounted beside it (`unified`), so the engine gets a view without that one.
  # Mounts made on the host later still reach it (`slave`); its own stay inside.
  nohup setsid unshare --mount --propagation slave sh -c '
    if [ -d /sys/fs/cgroup/unified ] && [ -x /usr/bin/crun ]; then umount /sys/fs/cgroup/unified || true; fi
    exec dockerd "$@"' sh "${words[@]}" >"$log" 2>&1 </dev/null &
fi
for _ in $(seq 300); do
  if docker info >/dev/null 2>&1; then
    echo "Docker engine $(docker version --format '{{.Server.Version}}') is up, log in $log" >&2
    exit 0
  fi
  sleep 0.1
done
echo "the Docker engine did not answer within 30 s; the end of $log:" >&2
tail -n 20 "$log" >&2
exit 1
