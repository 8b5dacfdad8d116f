#!/bin/sh
# Runs Lambent in a virtual machine that is a bare Debian: systemd, control groups of version 2 only, git and a shell.
#   scripts/cgroup2-machine.sh                      doctor, demo and the whole suite as root, then doctor and demo as an ordinary user
#   scripts/cgroup2-machine.sh COMMAND…             that in a copy of this checkout, as root: ./lambent test tests/e2e/limits.test.ts
#   scripts/cgroup2-machine.sh --user COMMAND…      as an ordinary user who has logged in
# LAMBENT_MACHINE_SUITE is the Debian release (bookworm, trixie), LAMBENT_MACHINE_MEMORY its memory in MiB. LAMBENT_MACHINE_ACCELERATOR=tcg does
# without /dev/kvm, ten and more times slower: enough for single files that measure no time. Outside the machine it needs a free TMPDIR of 4 GiB.
set -eu

suite=${LAMBENT_MACHINE_SUITE:-bookworm}
accelerator=${LAMBENT_MACHINE_ACCELERATOR:-kvm}
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
say() { printf 'cgroup2-machine: %s\n' "$*" >&2; }
fail() { say "$@"; exit 1; }

packages=
need() { PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null 2>&1 || packages="$packages $2"; }
need qemu-system-x86_64 qemu-system-x86; need mmdebstrap mmdebstrap; need mke2fs e2fsprogs; need ssh openssh-client; need git git
[ "$(uname -m)" = x86_64 ] || fail "this is for x86_64 only"
[ -z "$packages" ] || fail "missing: run  sudo apt-get install -y --no-install-recommends$packages"
[ "$(id -u)" = 0 ] || fail "only root can make the machine's disk: run it with sudo"
[ "$accelerator" != kvm ] || [ -w /dev/kvm ] ||
  fail "there is no /dev/kvm: switch on virtualisation, or emulate the processor with LAMBENT_MACHINE_ACCELERATOR=tcg (ten times slower)"
case "$accelerator" in
  kvm) processor=host,arch-capabilities=off patience=120 ;;
  *) processor=max patience=900 ;;
esac

work=$(mktemp -d)
machine=
finish() {
  if [ -n "$machine" ]; then kill "$machine" 2>/dev/null || true; wait "$machine" 2>/dev/null || true; fi
  rm -rf --one-file-system "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

# How package registries are reached from here (proxies, certificates) is how they are reached from there.
apt-config dump | grep -E '^Acquire::(https?::|Check-|Retries)' > "$work/apt.conf" || true
hand_over_settings() {
  env | grep -iE '^(https?_proxy|no_proxy|npm_config_[a-z_]*|pip_[a-z_]*|node_extra_ca_certs|ssl_cert_file)=' >> "$1/etc/environment" || true
  for file in /etc/ssl/certs/ca-certificates.crt /etc/npmrc /etc/pip.conf; do
    [ ! -e "$file" ] || install -D -m 644 "$file" "$1$file"
  done
}

say "making a disk with Debian $suite (a minute)"
unshare --mount mmdebstrap --quiet --mode=root --variant=minbase --dpkgopt=force-unsafe-io --aptopt="$work/apt.conf" \
  --include=linux-image-cloud-amd64,systemd-sysv,systemd-resolved,libpam-systemd,dbus-user-session,openssh-server,sudo,git,ca-certificates \
  "$suite" "$work/disk" 2> "$work/log" || { cat "$work/log" >&2; fail "mmdebstrap failed"; }
ssh-keygen -q -t ed25519 -N '' -f "$work/key"
hand_over_settings "$work/disk"
chroot "$work/disk" useradd --create-home --shell /bin/bash ordinary
for home in root home/ordinary; do install -D -m 600 "$work/key.pub" "$work/disk/$home/.ssh/authorized_keys"; done
for home in root home/ordinary; do # files as they are here, committed or not
  mkdir "$work/disk/$home/lambent"
  (cd "$root" && git ls-files -z --cached --others --exclude-standard | tar -c --null --files-from=- --ignore-failed-read) | tar -x -C "$work/disk/$home/lambent"
done
chroot "$work/disk" chown -R ordinary: /home/ordinary
echo lambent-machine > "$work/disk/etc/hostname"
echo '127.0.0.1 localhost lambent-machine' > "$work/disk/etc/hosts"
printf '[Match]\nName=e*\n[Network]\nDHCP=yes\n' > "$work/disk/etc/systemd/network/wired.network"
chroot "$work/disk" systemctl --quiet enable systemd-networkd
install -D /dev/null "$work/disk/var/lib/systemd/linger/root" && install /dev/null "$work/disk/var/lib/systemd/linger/ordinary" # tests count mounts: a session shall make none
cp "$(readlink -f "$work/disk/vmlinuz")" "$work/vmlinuz"
cp "$(readlink -f "$work/disk/initrd.img")" "$work/initrd"
mke2fs -q -t ext4 -d "$work/disk" "$work/disk.ext4" 24G
rm -rf "$work/disk"

port=$((20000 + $$ % 20000))
qemu-system-x86_64 -machine q35 -accel "$accelerator" -cpu "$processor" -smp 2 -m "${LAMBENT_MACHINE_MEMORY:-6144}" -nodefaults -display none -no-reboot \
  -kernel "$work/vmlinuz" -initrd "$work/initrd" -append "root=/dev/vda rw console=ttyS0 quiet systemd.unified_cgroup_hierarchy=1" \
  -drive "file=$work/disk.ext4,format=raw,if=virtio,cache=unsafe" -serial "file:$work/console" -device virtio-rng-pci \
  -nic "user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:$port-:22" < /dev/null &
machine=$!
there() { # there USER COMMAND
  ssh -q -p "$port" -i "$work/key" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectTimeout=5 "$1@127.0.0.1" "$2"
}
deadline=$(($(date +%s) + patience))
until there root true < /dev/null; do
  kill -0 "$machine" 2>/dev/null || fail "qemu has ended: $(tail -50 "$work/console")"
  [ "$(date +%s)" -lt "$deadline" ] ||
    fail "the machine does not answer. If nothing follows, the processor here does not run it: LAMBENT_MACHINE_ACCELERATOR=tcg. $(tail -50 "$work/console")"
  sleep 1
done
[ "$(there root 'stat -fc %T /sys/fs/cgroup' < /dev/null)" = cgroup2fs ] || fail "the machine has no control groups of version 2 only"

words() { for word; do printf "'%s' " "$(printf '%s' "$word" | sed "s/'/'\\\\''/g")"; done; }
as() { who=$1; shift; say "$who: $*"; there "$who" "cd lambent && $(words "$@")" < /dev/null; }

case "${1:-}" in
  '')
    status=0
    for command in doctor demo test; do as root ./lambent "$command" || status=1; done
    for command in doctor demo; do as ordinary ./lambent "$command" || status=1; done
    as ordinary systemd-run --user --scope --quiet ./lambent doctor || status=1 # as in a terminal: the user's own group, but not delegated
    exit "$status" ;;
  --user) shift; as ordinary "$@" ;;
  *) as root "$@" ;;
esac
