// A default-deny filter: known system calls less those that a function has no use for; everything newer is unknown.
#include "seccomp.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined __x86_64__
#define THIS_ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined __aarch64__
#define THIS_ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#error "unsupported architecture"
#endif

// mseal, Linux 6.10: whatever is newer has not been looked at, and is refused as if the kernel did not have it.
enum { LAST_KNOWN = 462, X32_BIT = 0x40000000, INSTRUCTIONS_MAX = 1200 };

static const int DENIED[] = {
  // namespaces, mounts, and what changes the machine
  SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_unshare, SYS_setns, SYS_swapon, SYS_swapoff, SYS_reboot, SYS_sethostname,
  SYS_setdomainname, SYS_acct, SYS_quotactl, 443 /* quotactl_fd */, SYS_vhangup, SYS_syslog,
  428 /* open_tree */, 429 /* move_mount */, 430 /* fsopen */, 431 /* fsconfig */, 432 /* fsmount */, 433 /* fspick */,
  442 /* mount_setattr */, 457 /* statmount */, 458 /* listmount */, 459, 460, 461 /* lsm_* */,
  // the kernel's code and clocks
  SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_kexec_load,
#ifdef SYS_kexec_file_load
  SYS_kexec_file_load,
#endif
  SYS_settimeofday, SYS_clock_settime, SYS_adjtimex, SYS_clock_adjtime,
  // other processes
  SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_kcmp, 438 /* pidfd_getfd */, 440 /* process_madvise */, 448 /* process_mrelease */,
  SYS_move_pages, SYS_migrate_pages,
  // large attack surface, no use
  SYS_bpf, SYS_perf_event_open, SYS_userfaultfd, 425, 426, 427 /* io_uring_* */, SYS_keyctl, SYS_add_key, SYS_request_key,
  SYS_open_by_handle_at, SYS_name_to_handle_at, SYS_fanotify_init, SYS_fanotify_mark, SYS_lookup_dcookie, 447 /* memfd_secret */,
#if defined __x86_64__
  SYS_iopl, SYS_ioperm, SYS_modify_ldt, SYS_uselib, SYS_ustat, SYS_sysfs, SYS__sysctl, SYS_create_module, SYS_get_kernel_syms,
  SYS_query_module, SYS_nfsservctl, SYS_getpmsg, SYS_putpmsg, SYS_afs_syscall, SYS_tuxcall, SYS_security, SYS_vserver,
#endif
};

static struct sock_filter program[INSTRUCTIONS_MAX];
static unsigned short length;

static void emit(uint16_t code, uint32_t value, uint8_t if_true, uint8_t if_false) {
  program[length++] = (struct sock_filter){code, if_true, if_false, value};
}

static void load(size_t offset) { emit(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0); }
static void answer(uint32_t action) { emit(BPF_RET | BPF_K, action, 0, 0); }
static void answer_if_equal(uint32_t value, uint32_t action) {
  emit(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
  answer(action);
}
static void answer_if_any_bit(uint32_t bits, uint32_t action) {
  emit(BPF_JMP | BPF_JSET | BPF_K, bits, 0, 1);
  answer(action);
}

static uint32_t refuse(int cause) { return SECCOMP_RET_ERRNO | (uint32_t)cause; }

// Looks at the low half of an argument when the call is `number`; what `check` does not answer is allowed.
static void with_argument(int number, int argument, void (*check)(void)) {
  unsigned short skip = length;
  emit(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 0);
  load(offsetof(struct seccomp_data, args) + (size_t)argument * 8);
  check();
  answer(SECCOMP_RET_ALLOW);
  program[skip].jf = (uint8_t)(length - skip - 1);
}

enum { NAMESPACE_FLAGS = 0x7e020080 /* CLONE_NEWTIME … CLONE_NEWNET, CLONE_NEWNS */ };
static void check_clone(void) { answer_if_any_bit(NAMESPACE_FLAGS, refuse(EPERM)); }

static void check_socket(void) {
  static const uint32_t families[] = {1 /* UNIX */, 2 /* INET */, 10 /* INET6 */, 16 /* NETLINK: getaddrinfo asks for addresses */};
  for (size_t i = 0; i < sizeof families / sizeof *families; i++) answer_if_equal(families[i], SECCOMP_RET_ALLOW);
  answer(refuse(EAFNOSUPPORT));
}

static void check_ioctl(void) {
  answer_if_equal(0x5412 /* TIOCSTI */, refuse(EPERM));
  answer_if_equal(0x541c /* TIOCLINUX */, refuse(EPERM));
}

static void check_personality(void) {
  answer_if_equal(0, SECCOMP_RET_ALLOW);
  answer_if_equal(0xffffffff /* only asks */, SECCOMP_RET_ALLOW);
  answer(refuse(EPERM));
}

static bool is_denied(int number) {
  for (size_t i = 0; i < sizeof DENIED / sizeof *DENIED; i++)
    if (DENIED[i] == number) return true;
  return false;
}

const char *seccomp_prepare(void) {
  length = 0;
  load(offsetof(struct seccomp_data, arch));
  emit(BPF_JMP | BPF_JEQ | BPF_K, THIS_ARCHITECTURE, 1, 0);
  answer(SECCOMP_RET_KILL_PROCESS);
  load(offsetof(struct seccomp_data, nr));
#if defined __x86_64__
  emit(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1);
  answer(SECCOMP_RET_KILL_PROCESS);
#endif
  emit(BPF_JMP | BPF_JGT | BPF_K, LAST_KNOWN, 0, 1);
  answer(refuse(ENOSYS));
  with_argument(SYS_clone, 0, check_clone);
  with_argument(SYS_socket, 0, check_socket);
  with_argument(SYS_ioctl, 1, check_ioctl);
  with_argument(SYS_personality, 0, check_personality);
  answer_if_equal(435 /* clone3: its flags are behind a pointer, so libc must fall back to clone */, refuse(ENOSYS));
  for (int number = 0; number <= LAST_KNOWN; number++)
    if (is_denied(number)) answer_if_equal((uint32_t)number, refuse(EPERM));
  answer(SECCOMP_RET_ALLOW);
  return length < INSTRUCTIONS_MAX ? NULL : "the system call filter is too long";
}

int seccomp_install(void) {
  struct sock_fprog filter = {length, program};
  return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter);
}
