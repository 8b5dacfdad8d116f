// A default-deny filter: the system calls that a function has a use for are allowed by name; everything else, and everything newer, is not.
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

// Up to mseal, Linux 6.10. A call that is newer has not been looked at: it does not exist (ENOSYS). One that is known and not in the list
// below is refused (EPERM): namespaces and mounts, modules and kexec, clocks, other processes' memory, bpf, perf, userfaultfd, io_uring,
// keys, file handles, swap, quotas, NUMA placement.
enum { LAST_KNOWN = 462, CALLS = LAST_KNOWN + 1, X32_BIT = 0x40000000, INSTRUCTIONS_MAX = 1024 };

// By number where a libc may be older than the call: those above 423 are the same on every architecture.
static const int ALLOWED[] = {
  // files
  SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64, SYS_pwrite64, SYS_preadv, SYS_pwritev, SYS_preadv2, SYS_pwritev2, SYS_openat, 437 /* openat2 */,
  SYS_close, 436 /* close_range */, SYS_lseek, SYS_fstat, SYS_newfstatat, SYS_statx, SYS_statfs, SYS_fstatfs, SYS_getdents64, SYS_faccessat,
  439 /* faccessat2 */, SYS_readlinkat, SYS_mkdirat, SYS_mknodat, SYS_unlinkat, SYS_renameat2, SYS_linkat, SYS_symlinkat, SYS_fchmod, SYS_fchmodat,
  452 /* fchmodat2 */, SYS_fchown, SYS_fchownat, SYS_utimensat, SYS_truncate, SYS_ftruncate, SYS_fallocate, SYS_fsync, SYS_fdatasync, SYS_sync, SYS_syncfs,
  SYS_sync_file_range, SYS_readahead, SYS_fadvise64, SYS_copy_file_range, SYS_sendfile, SYS_splice, SYS_tee, SYS_vmsplice, SYS_flock, SYS_fcntl,
  SYS_ioctl, SYS_dup, SYS_dup3, SYS_pipe2, SYS_chdir, SYS_fchdir, SYS_getcwd, SYS_umask, SYS_memfd_create, 451 /* cachestat */,
  SYS_setxattr, SYS_lsetxattr, SYS_fsetxattr, SYS_getxattr, SYS_lgetxattr, SYS_fgetxattr, SYS_listxattr, SYS_llistxattr, SYS_flistxattr,
  SYS_removexattr, SYS_lremovexattr, SYS_fremovexattr, SYS_inotify_init1, SYS_inotify_add_watch, SYS_inotify_rm_watch,
  SYS_io_setup, SYS_io_destroy, SYS_io_submit, SYS_io_cancel, SYS_io_getevents, SYS_io_pgetevents,
  // memory
  SYS_mmap, SYS_munmap, SYS_mremap, SYS_mprotect, SYS_madvise, SYS_brk, SYS_msync, SYS_mincore, SYS_mlock, SYS_mlock2, SYS_munlock, SYS_mlockall,
  SYS_munlockall, SYS_remap_file_pages, SYS_membarrier, SYS_pkey_mprotect, SYS_pkey_alloc, SYS_pkey_free, 453 /* map_shadow_stack */, 462 /* mseal */,
  // processes, threads, signals
  SYS_clone, SYS_execve, SYS_execveat, SYS_exit, SYS_exit_group, SYS_wait4, SYS_waitid, SYS_kill, SYS_tkill, SYS_tgkill, SYS_pidfd_send_signal,
  434 /* pidfd_open */, SYS_getpid, SYS_getppid, SYS_gettid, SYS_getpgid, SYS_setpgid, SYS_getsid, SYS_setsid, SYS_set_tid_address, SYS_futex,
  449 /* futex_waitv */, 454 /* futex_wake */, 455 /* futex_wait */, 456 /* futex_requeue */, SYS_set_robust_list, SYS_get_robust_list, SYS_rseq,
  SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_rt_sigpending, SYS_rt_sigsuspend, SYS_rt_sigtimedwait, SYS_rt_sigqueueinfo,
  SYS_rt_tgsigqueueinfo, SYS_sigaltstack, SYS_restart_syscall, SYS_prctl, SYS_seccomp, 444, 445, 446 /* landlock_* */, SYS_personality,
  SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid, SYS_getresuid, SYS_getresgid, SYS_getgroups, SYS_setuid, SYS_setgid, SYS_setreuid, SYS_setregid,
  SYS_setresuid, SYS_setresgid, SYS_setfsuid, SYS_setfsgid, SYS_setgroups, SYS_capget, SYS_capset, SYS_getrlimit, SYS_setrlimit, SYS_prlimit64,
  SYS_getrusage, SYS_times, SYS_getpriority, SYS_setpriority, SYS_ioprio_get, SYS_ioprio_set, SYS_sched_yield, SYS_sched_getaffinity,
  SYS_sched_setaffinity, SYS_sched_getparam, SYS_sched_setparam, SYS_sched_getscheduler, SYS_sched_setscheduler, SYS_sched_get_priority_max,
  SYS_sched_get_priority_min, SYS_sched_rr_get_interval, SYS_sched_getattr, SYS_sched_setattr, SYS_getcpu, SYS_uname, SYS_sysinfo, SYS_getrandom,
  // time
  SYS_clock_gettime, SYS_clock_getres, SYS_clock_nanosleep, SYS_nanosleep, SYS_gettimeofday, SYS_getitimer, SYS_setitimer, SYS_timer_create,
  SYS_timer_settime, SYS_timer_gettime, SYS_timer_getoverrun, SYS_timer_delete, SYS_timerfd_create, SYS_timerfd_settime, SYS_timerfd_gettime,
  // waiting, sockets, queues
  SYS_ppoll, SYS_pselect6, SYS_epoll_create1, SYS_epoll_ctl, SYS_epoll_pwait, 441 /* epoll_pwait2 */, SYS_eventfd2, SYS_signalfd4,
  SYS_socket, SYS_socketpair, SYS_bind, SYS_listen, SYS_accept, SYS_accept4, SYS_connect, SYS_shutdown, SYS_getsockname, SYS_getpeername,
  SYS_getsockopt, SYS_setsockopt, SYS_sendto, SYS_recvfrom, SYS_sendmsg, SYS_recvmsg, SYS_sendmmsg, SYS_recvmmsg,
  SYS_shmget, SYS_shmat, SYS_shmdt, SYS_shmctl, SYS_semget, SYS_semop, SYS_semtimedop, SYS_semctl, SYS_msgget, SYS_msgsnd, SYS_msgrcv, SYS_msgctl,
  SYS_mq_open, SYS_mq_unlink, SYS_mq_timedsend, SYS_mq_timedreceive, SYS_mq_notify, SYS_mq_getsetattr,
#if defined __x86_64__
  SYS_open, SYS_creat, SYS_stat, SYS_lstat, SYS_access, SYS_readlink, SYS_getdents, SYS_mkdir, SYS_rmdir, SYS_unlink, SYS_rename, SYS_renameat, SYS_link,
  SYS_symlink, SYS_mknod, SYS_chmod, SYS_chown, SYS_lchown, SYS_utime, SYS_utimes, SYS_futimesat, SYS_dup2, SYS_pipe, SYS_poll, SYS_select,
  SYS_epoll_create, SYS_epoll_wait, SYS_eventfd, SYS_signalfd, SYS_inotify_init, SYS_fork, SYS_vfork, SYS_getpgrp, SYS_pause, SYS_alarm, SYS_time,
  SYS_arch_prctl, SYS_get_thread_area, SYS_set_thread_area,
#else
  SYS_renameat,
#endif
};

static struct sock_filter program[INSTRUCTIONS_MAX];
static unsigned short length;

static void emit(uint16_t code, uint32_t value, uint8_t if_true, uint8_t if_false) {
  if (length < INSTRUCTIONS_MAX) program[length++] = (struct sock_filter){code, if_true, if_false, value};
}

static void load(size_t offset) { emit(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0); }
static void answer(uint32_t action) { emit(BPF_RET | BPF_K, action, 0, 0); }
static uint32_t refuse(int cause) { return SECCOMP_RET_ERRNO | (uint32_t)cause; }

static void answer_if_equal(uint32_t value, uint32_t action) {
  emit(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
  answer(action);
}

// Loads the low half of an argument; those that are looked at are 32-bit numbers to the kernel.
static void load_argument(size_t index) { load(offsetof(struct seccomp_data, args) + index * 8); }

// What `check` answers is for this call only.
static void with_call(int number, void (*check)(void)) {
  unsigned short skip = length;
  emit(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 0);
  check();
  program[skip].jf = (uint8_t)(length - skip - 1);
}

// Refuses a call that has one of the flags in this argument.
static void refuse_flags(size_t index, uint32_t flags) {
  load_argument(index);
  emit(BPF_JMP | BPF_JSET | BPF_K, flags, 0, 1);
  answer(refuse(EPERM));
  answer(SECCOMP_RET_ALLOW);
}

// CLONE_NEWTIME to CLONE_NEWNET and CLONE_NEWNS.
static void check_clone(void) { refuse_flags(0, 0x7e020000); }

static void check_socket(void) {
  enum { UNIX = 1, INET = 2, INET6 = 10, NETLINK = 16, NETLINK_ROUTE = 0 };
  static const uint32_t protocols[] = {0, 1 /* ICMP */, 6 /* TCP */, 17 /* UDP */, 58 /* ICMPv6 */};
  load_argument(0);
  answer_if_equal(UNIX, SECCOMP_RET_ALLOW);
  emit(BPF_JMP | BPF_JEQ | BPF_K, NETLINK, 0, 4);  // getaddrinfo and os.networkInterfaces ask for addresses
  load_argument(2);
  answer_if_equal(NETLINK_ROUTE, SECCOMP_RET_ALLOW);
  answer(refuse(EPROTONOSUPPORT));
  emit(BPF_JMP | BPF_JEQ | BPF_K, INET, 2, 0);
  emit(BPF_JMP | BPF_JEQ | BPF_K, INET6, 1, 0);
  answer(refuse(EAFNOSUPPORT));
  load_argument(2);
  for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++) answer_if_equal(protocols[i], SECCOMP_RET_ALLOW);
  answer(refuse(EPROTONOSUPPORT));
}

static void check_socketpair(void) {
  load_argument(0);
  answer_if_equal(1 /* UNIX */, SECCOMP_RET_ALLOW);
  answer(refuse(EAFNOSUPPORT));
}

static void check_ioctl(void) {
  load_argument(1);
  answer_if_equal(0x5412 /* TIOCSTI */, refuse(EPERM));
  answer_if_equal(0x541c /* TIOCLINUX */, refuse(EPERM));
  answer(SECCOMP_RET_ALLOW);
}

static void check_personality(void) {
  load_argument(0);
  answer_if_equal(0, SECCOMP_RET_ALLOW);
  answer_if_equal(0xffffffff /* only asks */, SECCOMP_RET_ALLOW);
  answer(refuse(EPERM));
}

// The limit on core dumps is the one that keeps the host's program for them from running (sandbox.c): it stays. Asking for another is answered
// as done, because who asks wants none, and has none.
static void check_setrlimit(void) {
  load_argument(0);
  answer_if_equal(4 /* RLIMIT_CORE */, refuse(0));
  answer(SECCOMP_RET_ALLOW);
}

static void check_prlimit64(void) {
  load_argument(1);
  emit(BPF_JMP | BPF_JEQ | BPF_K, 4 /* RLIMIT_CORE */, 1, 0);
  answer(SECCOMP_RET_ALLOW);
  for (size_t half = 0; half < 2; half++) {
    load(offsetof(struct seccomp_data, args) + 2 * 8 + half * 4);
    emit(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0);
    answer(refuse(0));
  }
  answer(SECCOMP_RET_ALLOW);  // only asks
}

// clone3 has its flags behind a pointer, where no filter can look: libc falls back to clone. Contexts of asynchronous I/O (io_setup) are counted
// for the whole machine: who has no use for them goes without.
static void is_absent(void) { answer(refuse(ENOSYS)); }

// Flushes every disk of the machine. All that can be written inside is memory, so it is done.
static void is_done(void) { answer(refuse(0)); }

// The host's pool of huge pages is nobody's memory but the host's: no control group counts it.
static void check_mmap(void) { refuse_flags(3, 0x40000 /* MAP_HUGETLB */); }
static void check_memfd_create(void) { refuse_flags(1, 4 /* MFD_HUGETLB */); }
static void check_shmget(void) { refuse_flags(2, 04000 /* SHM_HUGETLB */); }

static const struct {
  int number;
  void (*check)(void);
} CHECKED[] = {{SYS_clone, check_clone}, {SYS_socket, check_socket}, {SYS_socketpair, check_socketpair}, {SYS_ioctl, check_ioctl},
               {SYS_personality, check_personality}, {SYS_setrlimit, check_setrlimit}, {SYS_prlimit64, check_prlimit64}, {435 /* clone3 */, is_absent},
               {SYS_io_setup, is_absent}, {SYS_sync, is_done}, {SYS_syncfs, is_done}, {SYS_mmap, check_mmap}, {SYS_memfd_create, check_memfd_create},
               {SYS_shmget, check_shmget}};

static bool is_allowed[CALLS];

// The answer for the calls from `first` up to `last`, by halving: about ten comparisons for any call. Jumps reach 255 instructions, so a
// far half is reached by one unconditional jump.
static void answer_range(int first, int last) {
  int middle = -1, changes = 0;
  for (int i = first; i < last; i++) changes += is_allowed[i] != is_allowed[i + 1];
  if (changes == 0) {
    answer(is_allowed[first] ? SECCOMP_RET_ALLOW : refuse(EPERM));
    return;
  }
  for (int i = first, seen = 0; i < last && middle < 0; i++)
    if (is_allowed[i] != is_allowed[i + 1] && ++seen > changes / 2) middle = i;
  emit(BPF_JMP | BPF_JGT | BPF_K, (uint32_t)middle, 0, 1);
  unsigned short far = length;
  emit(BPF_JMP | BPF_JA, 0, 0, 0);
  answer_range(first, middle);
  program[far].k = (uint32_t)(length - far - 1);
  answer_range(middle + 1, last);
}

const char *seccomp_prepare(void) {
  length = 0;
  for (size_t i = 0; i < sizeof ALLOWED / sizeof *ALLOWED; i++) is_allowed[ALLOWED[i]] = true;
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
  for (size_t i = 0; i < sizeof CHECKED / sizeof *CHECKED; i++) with_call(CHECKED[i].number, CHECKED[i].check);
  answer_range(0, LAST_KNOWN);
  return length < INSTRUCTIONS_MAX ? NULL : "the system call filter is too long";
}

int seccomp_install(void) {
  struct sock_fprog filter = {length, program};
  return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter);
}
