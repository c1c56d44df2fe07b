#!/bin/bash
# Process 1 of the User-Mode Linux kernel (see user_mode_linux.py).  The kernel hands unknown `name=value` words of its command line over as
# environment: RUNNER_JOB is the directory on the host that holds the command, receives its output and its exit status.
job=$RUNNER_JOB
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
release=$(uname -r)

stop() { /sbin/halt -f 2>/dev/null || /sbin/poweroff -f 2>/dev/null; echo o >/proc/sysrq-trigger; }

# The host's files lie below, read-only; whatever the guest writes goes to memory and is gone at the end.
mount_root() {
  mount -t proc proc /proc
  mount -t tmpfs -o mode=755 tmpfs /mnt
  mkdir -p /mnt/{upper,work,root}
  insmod "/usr/lib/uml/modules/$release/kernel/fs/overlayfs/overlay.ko"
  mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root || { echo "no overlay file system" >"$job/failure"; stop; }
  cd /mnt/root || stop
  local shared
  while IFS= read -r shared; do mount -t hostfs -o "$shared" none "/mnt/root$shared"; done <"$job/shared"
  mount -t proc proc proc
  mount -t sysfs sysfs sys
  mount -t devtmpfs dev dev 2>/dev/null
  mkdir -p dev/pts dev/shm dev/net
  mount -t devpts devpts dev/pts 2>/dev/null
  mount -t tmpfs tmpfs dev/shm
  mount -t tmpfs tmpfs run
  mkdir -p run/netns run/lock
  [ -e dev/net/tun ] || mknod dev/net/tun c 10 200
  ln -sfn /proc/self/fd dev/fd
  # pivot_root, not chroot: the kernel refuses user namespaces to a process whose root is not that of its mount namespace.
  pivot_root . mnt
  exec chroot . /bin/bash "$job/init" command
}

run_command() {
  umount -l /mnt 2>/dev/null
  mkdir -p /lib/modules
  rm -rf "/lib/modules/$release"
  ln -s "/usr/lib/uml/modules/$release" "/lib/modules/$release"
  [ -s "/lib/modules/$release/modules.dep" ] || depmod "$release"
  local module
  while IFS= read -r module; do modprobe "$module" || echo "no kernel module $module" >>"$job/output"; done <"$job/modules"
  ip link set lo up
  hostname uml
  local words
  mapfile -d '' -t words <"$job/command"
  env -i --chdir="$(cat "$job/directory")" "${words[@]}" </dev/null >>"$job/output" 2>&1
  echo $? >"$job/status"
  stop
}

# The kernel passes words that it does not know as arguments, so anything but our own word means the first stage.
if [ "${1-}" = command ]; then run_command; else mount_root; fi
