#!/usr/bin/env bash
# Tries the README's two commands on a Debian system that holds nothing but git.
#
#   tests/fresh/debian.sh bookworm|trixie [--keep]
#
# Makes a minimal system of that suite in a temporary folder, clones the checkout at HEAD into it,
# runs `./maskerade run experiments/quickstart.yaml` and `./maskerade test` there as a new user
# would, and says what came of them: minutes, warnings of the build, tests. The system has no nvcc,
# so that this is the build for the CPU alone. Needs root, debootstrap, git and about 8 GB of disk.
# Exit code: 0 when both commands succeed and the build gives no warning, 1 when not, 2 when it
# could not be tried.
#
#   --keep        keeps the folder: the system, with the built checkout, and the logs
#   MIRROR=URL    the Debian mirror; without it the one of this machine's apt sources, which on
#                 another distribution is not Debian's
#   TMPDIR=FOLDER where the temporary folder is made (/tmp)
#   CCACHE=FOLDER compiles through ccache, with this folder of the host as its cache: for repeated
#                 runs. Minutes then say little.
set -euo pipefail

fail() {
  echo "debian.sh: error: $*" >&2
  exit 2
}

usage="write tests/fresh/debian.sh bookworm|trixie [--keep]"
suite=""
keep=""
for argument in "$@"; do
  case $argument in
    --keep) keep=yes ;;
    -*) fail "there is no option \"$argument\"; $usage" ;;
    bookworm | trixie)
      [ -z "$suite" ] || fail "two suites are given; $usage"
      suite=$argument
      ;;
    *) fail "there is no suite \"$argument\"; $usage" ;;
  esac
done
[ -n "$suite" ] || fail "no suite is given; $usage"
[ "$(id -u)" -eq 0 ] || fail "debootstrap and chroot need root; run this as root"
command -v debootstrap >/dev/null ||
  fail "there is no debootstrap; install it with: apt-get install debootstrap"
command -v git >/dev/null || fail "there is no git; install it with: apt-get install git"
[ -e "/usr/share/debootstrap/scripts/$suite" ] ||
  fail "this machine's debootstrap does not know $suite; install a newer one"
checkout=$(git -C "$(dirname "${BASH_SOURCE[0]}")" rev-parse --show-toplevel) ||
  fail "this is no git checkout that git trusts; clone the project, then run this from the clone"
if [ -n "${CCACHE:-}" ] && [ ! -d "$CCACHE" ]; then fail "CCACHE=$CCACHE is no folder"; fi

# The first mirror that apt's sources name for a whole release, not for its updates: the classic
# form, "deb [options] URL suite component...", and deb822, "URIs:" and "Suites:" in one paragraph.
# $1: the folder of sources.list and sources.list.d.
mirror_of_sources() {
  local file found
  for file in "$1"/sources.list "$1"/sources.list.d/*.list; do
    [ -f "$file" ] || continue
    found=$(sed -n -E 's/^deb +(\[[^]]*\] +)?([^ ]+) +([^ ]+) +main( .*)?$/\2 \3/p' "$file" |
      awk '!found && $2 !~ /[-\/]/ { print $1; found = 1 }')
    [ -z "$found" ] || { echo "$found"; return; }
  done
  for file in "$1"/sources.list.d/*.sources; do
    [ -f "$file" ] || continue
    found=$(sed '/^#/d' "$file" | awk -v RS= '
      {
        split("", value)
        lines = split($0, line, "\n")
        for (i = 1; i <= lines; ++i) {
          name = line[i]; sub(/:.*/, "", name)
          text = line[i]; sub(/^[^:]*:[ \t]*/, "", text)
          value[tolower(name)] = text
        }
        split(value["uris"], uris, /[ \t]+/)
        suites = split(value["suites"], suite, /[ \t]+/)
        enabled = tolower(value["enabled"]) != "no"
        if (enabled && value["types"] ~ /(^| )deb( |$)/ && value["components"] ~ /(^| )main( |$)/)
          for (i = 1; i <= suites; ++i)
            if (!found && suite[i] !~ /[-\/]/) { print uris[1]; found = 1 }
      }')
    [ -z "$found" ] || { echo "$found"; return; }
  done
}
mirror=${MIRROR:-$(mirror_of_sources /etc/apt)}
[ -n "$mirror" ] ||
  fail "apt's sources name no Debian mirror; give one: MIRROR=URL tests/fresh/debian.sh $suite"

umask 022 # apt's own user reads what is copied into the system
folder=$(realpath "$(mktemp -d "${TMPDIR:-/tmp}/maskerade-$suite-XXXXXX")")
system=$folder/system
mounts=()

# mount_at PLACE ARGUMENT...: mounts there, for as long as this script runs.
mount_at() {
  local place=$1
  shift
  mkdir -p "$place"
  mount "$@" "$place" || fail "cannot mount $place; this needs a machine that lets root mount"
  mounts+=("$place")
}

clean_up() {
  local i
  for ((i = ${#mounts[@]} - 1; i >= 0; --i)); do
    umount "${mounts[i]}" 2>/dev/null || umount --lazy "${mounts[i]}" || true
  done
  if [ -n "$keep" ]; then
    echo "debian.sh: kept $folder: the system in system/, the logs beside it"
  elif grep -qF " $folder/" /proc/self/mounts; then
    echo "debian.sh: error: $folder is left, as something is still mounted in it" >&2
  else
    rm -rf --one-file-system "$folder"
  fi
}
trap clean_up EXIT
trap 'exit 2' INT TERM

# in_system COMMAND...: runs it in the checkout, with the environment of a new user and the host's
# proxies.
in_system() {
  local variables=(HOME=/root USER=root LANG=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin) name
  for name in http_proxy https_proxy ftp_proxy no_proxy HTTP_PROXY HTTPS_PROXY FTP_PROXY NO_PROXY; do
    [ -z "${!name:-}" ] || variables+=("$name=${!name}")
  done
  if [ -n "${CCACHE:-}" ]; then
    variables+=(CMAKE_C_COMPILER_LAUNCHER=ccache CMAKE_CXX_COMPILER_LAUNCHER=ccache
      CCACHE_DIR=/ccache CCACHE_BASEDIR=/root/maskerade CCACHE_NOHASHDIR=yes)
  fi
  chroot "$system" /usr/bin/env -i "${variables[@]}" \
    bash -c 'cd /root/maskerade && exec "$@"' bash "$@"
}

echo "debian.sh: making $suite from $mirror in $folder"
debootstrap --variant=minbase --include=git "$suite" "$system" "$mirror" \
  >"$folder/debootstrap.log" 2>&1 || {
  tail -n 20 "$folder/debootstrap.log" >&2
  fail "debootstrap failed; the end of what it says stands above"
}
# What apt needs to reach the mirror from here.
cp -L /etc/resolv.conf /etc/hosts "$system/etc/"
if [ -e /etc/ssl/certs/ca-certificates.crt ]; then
  mkdir -p "$system/etc/ssl/certs"
  cp -L /etc/ssl/certs/ca-certificates.crt "$system/etc/ssl/certs/"
fi
# Of apt's configuration how it connects and what it checks, not the host's hooks.
apt-config dump | grep -E '^Acquire::[A-Za-z:.-]*(Proxy|Check-|Verify|CaInfo|CaPath|Retries|ForceIPv)' \
  >"$system/etc/apt/apt.conf.d/99host" || true
mount_at "$system/proc" -t proc proc
mount_at "$system/sys" -t sysfs -o ro sysfs
if [ -n "${CCACHE:-}" ]; then
  mount_at "$system/ccache" --bind "$CCACHE"
  mkdir -p "$system/root/maskerade"
  in_system sh -c "apt-get update -q && apt-get install -q -y --no-install-recommends ccache" \
    >"$folder/ccache.log" 2>&1 || fail "cannot install ccache: $(tail -n 3 "$folder/ccache.log")"
fi
[ -z "$(git -C "$checkout" status --porcelain)" ] ||
  echo "debian.sh: what is not committed is not tried"
git clone --quiet --no-hardlinks "$checkout" "$system/root/maskerade"
echo "debian.sh: $(git -C "$checkout" log -1 --format='%h %s')"

failed=""
# A command as a new user gives it. Sets `line` to what came of it.
try_command() {
  local log=$1 begin=$SECONDS code=0
  shift
  in_system "$@" >"$log" 2>&1 || code=$?
  local seconds=$((SECONDS - begin))
  line=$(printf '%s: %d min %02d s, exit code %d' "$*" $((seconds / 60)) $((seconds % 60)) $code)
  if [ $code -ne 0 ]; then
    failed=yes
    tail -n 60 "$log" >&2
  fi
}
# What compilers, linkers, CMake and ninja warn of; not dpkg.
warning_lines='^[^ ]+:[0-9]+(:[0-9]+)?: warning: |^(cc1|cc1plus|gcc|cc|g\+\+|c\+\+|collect2|ninja|.*/ld[a-z.]*): warning: |^CMake [A-Za-z() ]*Warning'

try_command "$folder/run.log" ./maskerade run experiments/quickstart.yaml
run_line=$line
try_command "$folder/test.log" ./maskerade test
test_line=$line

warnings=$(cat "$folder/run.log" "$folder/test.log" | grep -cE "$warning_lines" || true)
if [ "$warnings" -gt 0 ]; then
  failed=yes
  cat "$folder/run.log" "$folder/test.log" | grep -E "$warning_lines" | sort | uniq -c >&2
fi
total=$(sed -n -E 's/.* tests failed out of ([0-9]+)$/\1/p' "$folder/test.log" | tail -n 1)
broken=$(sed -n -E 's/.*, ([0-9]+) tests failed out of [0-9]+$/\1/p' "$folder/test.log" | tail -n 1)
skipped=$(grep -c '\*\*\*Skipped' "$folder/test.log" || true)
[ -n "$total" ] || failed=yes

echo "$suite: g++ $(in_system g++ -dumpfullversion 2>/dev/null || echo missing), $(nproc) cores"
echo "$run_line"
echo "$test_line"
echo "warnings of the build: $warnings"
if [ -n "$total" ]; then
  echo "tests: $((total - broken - skipped)) passed, $broken failed, $skipped skipped"
else
  echo "tests: none ran"
fi
[ -z "$failed" ] || exit 1
