// A default-deny filter: the system calls that a function has a use for are allowed by name; everything else, and everything newer, is not.
import { SandboxError } from "../sandbox.ts";
import { SYSTEM_CALL_NUMBERS, type Architecture } from "./system-call-numbers.ts";

/**
 * A call that is newer than mseal (Linux 6.10) has not been looked at: it does not exist (ENOSYS). One that is known and not in the list below
 * is refused (EPERM): namespaces and mounts, modules and kexec, clocks, other processes' memory, bpf, perf, userfaultfd, io_uring, keys, file
 * handles, swap, quotas, NUMA placement.
 */
const LAST_KNOWN = 462;

const FILES = `
  read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 openat openat2 close close_range lseek fstat newfstatat statx statfs
  fstatfs getdents64 faccessat faccessat2 readlinkat mkdirat mknodat unlinkat renameat renameat2 linkat symlinkat fchmod fchmodat fchmodat2 fchown
  fchownat utimensat truncate ftruncate fallocate fsync fdatasync sync syncfs sync_file_range readahead fadvise64 copy_file_range sendfile splice
  tee vmsplice flock fcntl ioctl dup dup3 pipe2 chdir fchdir getcwd umask memfd_create cachestat setxattr lsetxattr fsetxattr getxattr lgetxattr
  fgetxattr listxattr llistxattr flistxattr removexattr lremovexattr fremovexattr inotify_init1 inotify_add_watch inotify_rm_watch io_setup
  io_destroy io_submit io_cancel io_getevents io_pgetevents`;

const MEMORY = `
  mmap munmap mremap mprotect madvise brk msync mincore mlock mlock2 munlock mlockall munlockall remap_file_pages membarrier pkey_mprotect
  pkey_alloc pkey_free map_shadow_stack mseal`;

const PROCESSES_AND_SIGNALS = `
  clone execve execveat exit exit_group wait4 waitid kill tkill tgkill pidfd_send_signal pidfd_open getpid getppid gettid getpgid setpgid getsid
  setsid set_tid_address futex futex_waitv futex_wake futex_wait futex_requeue set_robust_list get_robust_list rseq rt_sigaction rt_sigprocmask
  rt_sigreturn rt_sigpending rt_sigsuspend rt_sigtimedwait rt_sigqueueinfo rt_tgsigqueueinfo sigaltstack restart_syscall prctl seccomp
  landlock_create_ruleset landlock_add_rule landlock_restrict_self personality getuid geteuid getgid getegid getresuid getresgid getgroups setuid
  setgid setreuid setregid setresuid setresgid setfsuid setfsgid setgroups capget capset getrlimit setrlimit prlimit64 getrusage times getpriority
  setpriority ioprio_get ioprio_set sched_yield sched_getaffinity sched_setaffinity sched_getparam sched_setparam sched_getscheduler
  sched_setscheduler sched_get_priority_max sched_get_priority_min sched_rr_get_interval sched_getattr sched_setattr getcpu uname sysinfo
  getrandom`;

const TIME = `
  clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday getitimer setitimer timer_create timer_settime timer_gettime
  timer_getoverrun timer_delete timerfd_create timerfd_settime timerfd_gettime`;

const WAITING_SOCKETS_AND_QUEUES = `
  ppoll pselect6 epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 eventfd2 signalfd4 socket socketpair bind listen accept accept4 connect shutdown
  getsockname getpeername getsockopt setsockopt sendto recvfrom sendmsg recvmsg sendmmsg recvmmsg shmget shmat shmdt shmctl semget semop semtimedop
  semctl msgget msgsnd msgrcv msgctl mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr`;

/** What arm64 never had. */
const OLD = `
  open creat stat lstat access readlink getdents mkdir rmdir unlink rename link symlink mknod chmod chown lchown utime utimes futimesat dup2 pipe
  poll select epoll_create epoll_wait eventfd signalfd inotify_init fork vfork getpgrp pause alarm time arch_prctl get_thread_area
  set_thread_area`;

const ALLOWED = [FILES, MEMORY, PROCESSES_AND_SIGNALS, TIME, WAITING_SOCKETS_AND_QUEUES].flatMap((names) => names.trim().split(/\s+/));
const ALLOWED_ON: Readonly<Record<Architecture, readonly string[]>> = { x64: [...ALLOWED, ...OLD.trim().split(/\s+/)], arm64: ALLOWED };

/** As linux/audit.h names them. */
const AUDIT_ARCHITECTURE: Readonly<Record<Architecture, number>> = { x64: 0xc000_003e, arm64: 0xc000_00b7 };
/** The other calls of an x86_64 kernel, for 32-bit pointers. */
const X32_BIT = 0x4000_0000;

/** Of linux/bpf_common.h: what the filter needs of the language. */
const CODE = {
  load: 0x20,
  jump: 0x05,
  jumpIfEqual: 0x15,
  jumpIfGreater: 0x25,
  jumpIfGreaterOrEqual: 0x35,
  jumpIfAnySet: 0x45,
  answer: 0x06,
} as const;

/** Jumps are relative to the next instruction, and lead forward. */
interface Instruction {
  readonly code: number;
  readonly value: number;
  readonly ifTrue: number;
  readonly ifFalse: number;
}

type Program = readonly Instruction[];

const instruction = (code: number, value: number, ifTrue = 0, ifFalse = 0): Instruction => ({ code, value, ifTrue, ifFalse });

/** Of linux/seccomp.h. */
const ALLOW = instruction(CODE.answer, 0x7fff_0000);
const KILL = instruction(CODE.answer, 0x8000_0000);
const refuse = (cause: number) => instruction(CODE.answer, 0x0005_0000 | cause);
/** Answers the call as done, without doing it. */
const DONE = refuse(0);

const [EPERM, ENOSYS, EPROTONOSUPPORT, EAFNOSUPPORT] = [1, 38, 93, 97];

/** struct seccomp_data: nr, arch, instruction pointer, six arguments of 8 bytes each. */
const NUMBER = instruction(CODE.load, 0);
const ARCHITECTURE = instruction(CODE.load, 4);
/** The low half of an argument: those that are looked at are 32-bit numbers to the kernel. */
const argument = (index: number) => instruction(CODE.load, 16 + index * 8);
const highHalf = (index: number) => instruction(CODE.load, 20 + index * 8);

const ifEqual = (value: number, answer: Instruction): Program => [instruction(CODE.jumpIfEqual, value, 0, 1), answer];

/** Refuses a call that has one of the flags in this argument. */
const refuseFlags = (index: number, flags: number): Program => [
  argument(index),
  instruction(CODE.jumpIfAnySet, flags, 0, 1),
  refuse(EPERM),
  ALLOW,
];

const [UNIX, INET, INET6, NETLINK] = [1, 2, 10, 16];
const NETLINK_ROUTE = 0;
const PROTOCOLS = { any: 0, icmp: 1, tcp: 6, udp: 17, icmp6: 58 } as const;

const SOCKET: Program = [
  argument(0),
  ...ifEqual(UNIX, ALLOW),
  instruction(CODE.jumpIfEqual, NETLINK, 0, 4), // getaddrinfo and os.networkInterfaces ask for addresses
  argument(2),
  ...ifEqual(NETLINK_ROUTE, ALLOW),
  refuse(EPROTONOSUPPORT),
  instruction(CODE.jumpIfEqual, INET, 2, 0),
  instruction(CODE.jumpIfEqual, INET6, 1, 0),
  refuse(EAFNOSUPPORT),
  argument(2),
  ...Object.values(PROTOCOLS).flatMap((protocol) => ifEqual(protocol, ALLOW)),
  refuse(EPROTONOSUPPORT),
];

const SOCKETPAIR: Program = [argument(0), ...ifEqual(UNIX, ALLOW), refuse(EAFNOSUPPORT)];

const [TIOCSTI, TIOCLINUX] = [0x5412, 0x541c];
const IOCTL: Program = [argument(1), ...ifEqual(TIOCSTI, refuse(EPERM)), ...ifEqual(TIOCLINUX, refuse(EPERM)), ALLOW];

/** The usual one, and the number that only asks. */
const PERSONALITY: Program = [argument(0), ...ifEqual(0, ALLOW), ...ifEqual(0xffff_ffff, ALLOW), refuse(EPERM)];

/**
 * The limit on core dumps is the one that keeps the host's program for them from running (native/sandbox.c): it stays. Asking for another is
 * answered as done, because who asks wants none, and has none.
 */
const RLIMIT_CORE = 4;
const SETRLIMIT: Program = [argument(0), ...ifEqual(RLIMIT_CORE, DONE), ALLOW];
/** Without new limits, whose pointer is null in both halves, it only asks. */
const PRLIMIT64: Program = [
  argument(1),
  instruction(CODE.jumpIfEqual, RLIMIT_CORE, 1, 0),
  ALLOW,
  ...[argument(2), highHalf(2)].flatMap((half) => [half, instruction(CODE.jumpIfEqual, 0, 1, 0), DONE]),
  ALLOW,
];

/** Of mmap, memfd_create, shmget: the host's pool of huge pages is nobody's memory but the host's: no control group counts it. */
const [MAP_HUGETLB, MFD_HUGETLB, SHM_HUGETLB] = [0x4_0000, 4, 0o4000];
/** CLONE_NEWCGROUP to CLONE_NEWNET, and CLONE_NEWNS. */
const CLONE_NAMESPACES = 0x7e02_0000;

/** Calls whose answer depends on more than their number, or is neither yes nor no. */
const CHECKED: Readonly<Record<string, Program>> = {
  clone: refuseFlags(0, CLONE_NAMESPACES),
  socket: SOCKET,
  socketpair: SOCKETPAIR,
  ioctl: IOCTL,
  personality: PERSONALITY,
  setrlimit: SETRLIMIT,
  prlimit64: PRLIMIT64,
  // Has its flags behind a pointer, where no filter can look: libc falls back to clone.
  clone3: [refuse(ENOSYS)],
  // Contexts of asynchronous I/O are counted for the whole machine: who has no use for them goes without.
  io_setup: [refuse(ENOSYS)],
  // Would flush every disk of the machine. All that can be written inside is memory, so it is done.
  sync: [DONE],
  syncfs: [DONE],
  mmap: refuseFlags(3, MAP_HUGETLB),
  memfd_create: refuseFlags(1, MFD_HUGETLB),
  shmget: refuseFlags(2, SHM_HUGETLB),
};

function numberOf(architecture: Architecture, name: string): number {
  const number = SYSTEM_CALL_NUMBERS[architecture].get(name);
  if (number === undefined) throw new Error(`${architecture} has no system call ${name}`);
  return number;
}

/** What `check` answers is for this call only. */
const withCall = (number: number, check: Program): Program => [instruction(CODE.jumpIfEqual, number, 0, check.length), ...check];

/**
 * The answer for the calls from `first` up to `last`, by halving: about ten comparisons for any call. Jumps reach 255 instructions, so a far
 * half is reached by one unconditional jump.
 */
function answerRange(isAllowed: (number: number) => boolean, first: number, last: number): Program {
  const changes = Array.from({ length: last - first }, (_, at) => first + at).filter((at) => isAllowed(at) !== isAllowed(at + 1));
  const middle = changes[changes.length >> 1];
  if (middle === undefined) return [isAllowed(first) ? ALLOW : refuse(EPERM)];
  const [low, high] = [answerRange(isAllowed, first, middle), answerRange(isAllowed, middle + 1, last)];
  return [instruction(CODE.jumpIfGreater, middle, 0, 1), instruction(CODE.jump, low.length), ...low, ...high];
}

function program(architecture: Architecture): Program {
  const allowed = new Set(ALLOWED_ON[architecture].map((name) => numberOf(architecture, name)));
  return [
    ARCHITECTURE,
    instruction(CODE.jumpIfEqual, AUDIT_ARCHITECTURE[architecture], 1, 0),
    KILL,
    NUMBER,
    ...(architecture === "x64" ? [instruction(CODE.jumpIfGreaterOrEqual, X32_BIT, 0, 1), KILL] : []),
    instruction(CODE.jumpIfGreater, LAST_KNOWN, 0, 1),
    refuse(ENOSYS),
    ...Object.entries(CHECKED).flatMap(([name, check]) => withCall(numberOf(architecture, name), check)),
    ...answerRange((number) => allowed.has(number), 0, LAST_KNOWN),
  ];
}

/** The program as the kernel takes it, 8 bytes an instruction. Throws SandboxError for an architecture that has none. */
export function systemCallFilter(architecture: string): Buffer {
  if (architecture !== "x64" && architecture !== "arm64") throw new SandboxError(`there is no system call filter for ${architecture}`);
  const instructions = program(architecture);
  const bytes = Buffer.alloc(instructions.length * 8);
  for (const [index, { code, value, ifTrue, ifFalse }] of instructions.entries()) {
    bytes.writeUInt16LE(code, index * 8);
    bytes.writeUInt8(ifTrue, index * 8 + 2);
    bytes.writeUInt8(ifFalse, index * 8 + 3);
    bytes.writeUInt32LE(value, index * 8 + 4);
  }
  return bytes;
}
