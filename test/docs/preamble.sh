# What stands before a page's commands: `mpcformer` is the built program, services run in the background until the page ends.
set -euo pipefail
declare -A services=()

stop_all() {
  local listen
  for listen in "${!services[@]}"; do kill "${services[$listen]}" 2>/dev/null || true; done
  wait
}
trap stop_all EXIT

# The value of the last --listen among the arguments.
listen_of() {
  local found=""
  while [ $# -gt 0 ]; do
    case "$1" in --listen) found="${2:-}" ;; --listen=*) found="${1#--listen=}" ;; esac
    shift
  done
  echo "$found"
}

# service READY LISTEN COMMAND...: starts it and waits until it says that it is ready. One that listens there already is stopped
# first, as whoever follows the page would do it.
service() {
  local ready="$1" listen="$2" log pid
  shift 2
  if [ -n "${services[$listen]:-}" ]; then kill "${services[$listen]}" && wait "${services[$listen]}" 2>/dev/null || true; fi
  log="$(mktemp "$LOGS/service.XXXXXX")"
  "$@" >"$log" 2>&1 &
  pid=$!
  services[$listen]=$pid
  for _ in $(seq 6000); do
    if grep -q "$ready" "$log"; then cat "$log"; return 0; fi
    if ! kill -0 "$pid" 2>/dev/null; then break; fi
    sleep 0.05
  done
  cat "$log" >&2
  echo "not ready: $*" >&2
  return 1
}

# Whether a profile says whom a command asks.
has_profile() {
  local word
  for word in "$@"; do if [ "$word" = --service ]; then return 0; fi; done
  return 1
}

mpcformer() {
  local command="$1" own=()
  shift
  case "$command" in
    deal) own=(--listen "127.0.0.1:$PORT_7701") ;;
    web) own=(--listen "127.0.0.1:$PORT_7780") ;;
    serve)
      own=(--listen "127.0.0.1:$PORT_7700")
      has_profile "$@" || own+=(--dealer "127.0.0.1:$PORT_7701")
      ;;
    gateway) own=(--listen "127.0.0.1:$PORT_7790" --server "127.0.0.1:$PORT_7700" --dealer "127.0.0.1:$PORT_7701") ;;
    up) own=(--listen "127.0.0.1:$PORT_7790") ;;
    audit) own=(--dealer "127.0.0.1:$PORT_7701") ;;
    infer | generate | prepare | chat) has_profile "$@" || own=(--server "127.0.0.1:$PORT_7700" --dealer "127.0.0.1:$PORT_7701") ;;
  esac
  local scaled="SCALED_${command//-/_}"
  local words=("$command" "${own[@]}" "$@" ${!scaled:-})
  case "$command" in
    deal | serve | helper | web | gateway | up) service "until Ctrl+C" "$(listen_of "${words[@]}")" node "$MAIN" "${words[@]}" ;;
    *) node "$MAIN" "${words[@]}" ;;
  esac
}

redis-server() { service "Ready to accept" redis "$(type -P redis-server)" "$@"; }

# What its operator would have told: the fingerprint of a party's key on this page. Asked for once.
fingerprint() {
  local kept="$LOGS/fingerprint.$1"
  if [ ! -s "$kept" ]; then mpcformer keys "$HOME/${1,,}-key" >"$kept"; fi
  cat "$kept"
}

# The same in a program, where no shell puts it in.
with_fingerprints() {
  local party
  for party in DEALER SERVER HELPER; do
    if grep -q "(fingerprint $party)" "$1"; then sed -i "s/\$(fingerprint $party)/$(fingerprint "$party")/g" "$1"; fi
  done
}
