// Process 1 of a sandbox: assembles its layers one by one, starts the function's first process, and reaps until that has ended.
#define _GNU_SOURCE
#include "sandbox.h"
#include "cgroup.h"
#include "gateway.h"
#include "seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { INSIDE_UID = 993, INSIDE_GID = 990, FAILED = 111, CAPABILITIES_MAX = 63, CONTROL = 3, REPORT = 4, SYNC = 5, OUTSIDE = 6, FORMAT = 16 };

__attribute__((noreturn)) static void fail(const char *step, const char *what) {
  char text[512];
  int cause = errno;
  int size = snprintf(text, sizeof text, "E%s%s%s: %s", step, what ? ": " : "", what ? what : "", strerror(cause));
  send(REPORT, text, (size_t)size < sizeof text ? (size_t)size : sizeof text - 1, MSG_NOSIGNAL);
  _exit(FAILED);
}

static void send_descriptor(char kind, uint16_t port, int descriptor, const char *what) {
  char text[3] = {kind, (char)(port & 255), (char)(port >> 8)};
  if (descriptor < 0) fail(what, NULL);
  char space[CMSG_SPACE(sizeof(int))] = {0};
  struct iovec part = {text, sizeof text};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
  struct cmsghdr *head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(head), &descriptor, sizeof descriptor);
  if (sendmsg(REPORT, &message, MSG_NOSIGNAL) < 0) fail(what, "handing over");
  close(descriptor);
}

// Never more than the launcher may have itself.
static void limit(__rlimit_resource_t resource, const char *name, rlim_t amount) {
  struct rlimit present;
  if (getrlimit(resource, &present)) fail("limit", name);
  rlim_t allowed = present.rlim_max < amount ? present.rlim_max : amount;
  struct rlimit wanted = {allowed, allowed};
  if (setrlimit(resource, &wanted)) fail("limit", name);
}

// Not 0: where the host pipes cores to a program, the kernel runs it whatever the limit is, but not at exactly 1. An ordinary user whose own
// limit is 0 can't raise it.
static void forbid_cores(void) {
  struct rlimit one = {1, 1}, none = {0, 0};
  if (setrlimit(RLIMIT_CORE, &one) && (errno != EPERM || setrlimit(RLIMIT_CORE, &none))) fail("limit", "core");
}

// Programs ask for it to know how many threads are of use. One that has gone offline is no reason to fail: the kernel chooses then.
static void choose_processors(const struct request *request) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (size_t i = 0; i < request->processor_count; i++) CPU_SET(request->processors[i], &set);
  if (sched_setaffinity(0, sizeof set, &set) && errno != EINVAL) fail("processors", NULL);
}

// A machine that is out of memory ends who has most of it: that would be the server, of which there is one. Not the highest score: what takes half of
// the machine's memory goes first, whatever it is. Who has a higher one already can't be given this one without privileges, and needs none.
static void go_before_the_server(void) {
  int score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (score < 0 || (write(score, "500", 3) != 3 && errno != EACCES) || close(score)) fail("limit", "oom score");
}

static void set_limits(const struct request *request) {
  choose_processors(request);
  go_before_the_server();
  forbid_cores();
  limit(RLIMIT_NOFILE, "open files", request->open_files_max);
  limit(RLIMIT_NPROC, "processes", request->processes_max);
  limit(RLIMIT_MEMLOCK, "locked memory", 64 << 10);
  limit(RLIMIT_STACK, "stack", 8 << 20);
  limit(RLIMIT_MSGQUEUE, "message queues", 800 << 10);
}

static void set_capabilities(bool all) {
  struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct set[2] = {0};
  if (all && syscall(SYS_capget, &head, set)) fail("capabilities", NULL);
  for (int i = 0; i < 2; i++) set[i].effective = set[i].permitted;
  if (syscall(SYS_capset, &head, set)) fail("capabilities", NULL);
}

static void become(uid_t uid, gid_t gid) {
  if (setgroups(0, NULL)) fail("groups", NULL);
  if (setresgid(gid, gid, gid) || setresuid(uid, uid, uid)) fail("user", NULL);
}

// For good: no capability is left, and none can be had from a file.
static void drop_privileges(void) {
  for (int capability = 0; capability <= CAPABILITIES_MAX; capability++)
    if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) && errno != EINVAL) fail("capabilities", "bounding set");
  set_capabilities(false);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) fail("no new privileges", NULL);
}

// Descriptors 0 to 6 and nothing else; what is above 3 closes itself at exec.
static void arrange_descriptors(const struct sandbox_descriptors *given) {
  int control = fcntl(given->control, F_DUPFD_CLOEXEC, 10), output = fcntl(given->output, F_DUPFD_CLOEXEC, 10);
  int report = fcntl(given->report, F_DUPFD_CLOEXEC, 10);
  int gateway = given->gateway < 0 ? -1 : fcntl(given->gateway, F_DUPFD_CLOEXEC, 10);
  if (control < 0 || output < 0 || report < 0 || dup3(report, REPORT, O_CLOEXEC) < 0) _exit(FAILED);
  if (dup2(output, 1) < 0 || dup2(output, 2) < 0 || dup2(control, CONTROL) < 0) fail("descriptors", NULL);
  if (given->gateway >= 0 && dup3(gateway, OUTSIDE, O_CLOEXEC) < 0) fail("descriptors", "gateway");
  if (syscall(SYS_close_range, SYNC, SYNC, 0) || syscall(SYS_close_range, given->gateway < 0 ? OUTSIDE : OUTSIDE + 1, ~0U, 0) || close(0))
    fail("descriptors", "closing");
}

static void write_map(const char *path, unsigned inside, uint64_t outside) {
  char line[64];
  int size = snprintf(line, sizeof line, "%u %llu 1\n", inside, (unsigned long long)outside);
  int map = open(path, O_WRONLY | O_CLOEXEC);
  if (map < 0 || write(map, line, (size_t)size) != size || close(map)) fail("uid mapping", path);
}

static void await(char what) {
  char got = 0;
  if (recv(SYNC, &got, 1, 0) != 1 || got != what) _exit(FAILED);
}

// The function's own first process: process 2, in a user namespace in which it is nobody.
__attribute__((noreturn)) static void run(const struct request *request) {
  await('k');  // its user has a name now
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);  // what is ignored would stay so after exec
  become(INSIDE_UID, INSIDE_GID);
  drop_privileges();
  if (chdir(request->directory)) fail("working directory", request->directory);
  if (seccomp_install()) fail("system call filter", NULL);
  execve(request->arguments[0], request->arguments, request->variables);
  fail("exec", request->arguments[0]);
}

static pid_t clone_into_user_namespace(void) {
  struct clone_args arguments = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
  return (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
}

// Makes the kernel run programs of a format through an emulator: in the function's user namespace, as who has all rights there. That mount of
// binfmt_misc is attached nowhere, so that nobody inside sees it, and lasts as long as process 1 holds it. Its files belong to root, who has no
// name in that namespace: the one that is written to needs an owner first.
__attribute__((noreturn)) static void register_format(const char *format) {
  int user = open("/proc/2/ns/user", O_RDONLY | O_CLOEXEC);
  if (user < 0 || setns(user, CLONE_NEWUSER) || unshare(CLONE_NEWNS)) fail("emulation", "the function's namespace");
  int type = (int)syscall(SYS_fsopen, "binfmt_misc", FSOPEN_CLOEXEC);
  if (type < 0 || syscall(SYS_fsconfig, type, FSCONFIG_CMD_CREATE, NULL, NULL, 0)) fail("emulation", "binfmt_misc in a user namespace");
  int formats = (int)syscall(SYS_fsmount, type, FSMOUNT_CLOEXEC, 0);
  if (formats < 0 || dup3(formats, FORMAT, O_CLOEXEC) < 0) fail("emulation", "binfmt_misc");
  if (fchownat(FORMAT, "register", getuid(), getgid(), AT_SYMLINK_NOFOLLOW)) fail("emulation", "owner");
  int registration = openat(FORMAT, "register", O_WRONLY | O_CLOEXEC);
  if (registration < 0 || write(registration, format, strlen(format)) < 0) fail("emulation", "registration");
  _exit(0);
}

// By a process of its own, whose descriptors are ours too.
static void emulate(const char *format) {
  struct clone_args arguments = {.flags = CLONE_FILES, .exit_signal = SIGCHLD};
  pid_t child = (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
  if (child < 0) fail("emulation", NULL);
  if (child == 0) register_format(format);
  int status;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) fail("emulation", NULL);
  if (status != 0) _exit(FAILED);
}

// Starts it, and gives up all privileges before it runs a single instruction of the function's.
static pid_t start_first(const struct request *request) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) fail("descriptors", NULL);
  // The kernel counts what is inside for the maker of a user namespace too: that must be this sandbox's own user, not root.
  if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)) fail("capabilities", "keeping");
  become((uid_t)request->uid, (gid_t)request->uid);
  set_capabilities(true);
  // The change of user gave process 2's files below /proc to the host's root, who without root is not us; nobody else is in here yet.
  if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)) fail("dumpable", NULL);
  pid_t first = clone_into_user_namespace();
  if (first < 0) fail("user namespace", NULL);
  if (first == 0) {
    if (dup3(pair[1], SYNC, O_CLOEXEC) < 0 && errno != EINVAL) _exit(FAILED);
    syscall(SYS_close_range, SYNC + 1, ~0U, 0);
    run(request);
  }
  write_map("/proc/2/uid_map", INSIDE_UID, request->uid);
  write_map("/proc/2/gid_map", INSIDE_GID, request->uid);
  if (request->format) emulate(request->format);
  drop_privileges();
  // Not even the sandbox's own user may look into process 1.
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)) fail("dumpable", NULL);
  // Cleared by the change of user, so it is set last: when the launcher dies, so does everything here.
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)) fail("parent death signal", NULL);
  if (seccomp_install()) fail("system call filter", NULL);
  if (dup2(pair[0], SYNC) < 0 || syscall(SYS_close_range, SYNC + 1, FORMAT - 1, 0)) fail("descriptors", NULL);
  if (syscall(SYS_close_range, request->format ? FORMAT + 1 : FORMAT, ~0U, 0) || syscall(SYS_close_range, 0, CONTROL, 0)) fail("descriptors", NULL);
  return first;
}

// Tells the launcher that the function's first process runs: its end of the pair closes at exec. A launcher that died
// before the signal was set is seen here.
static void await_exec(void) {
  char none;
  if (send(SYNC, "k", 1, MSG_NOSIGNAL) != 1) _exit(FAILED);
  while (recv(SYNC, &none, 1, 0) < 0 && errno == EINTR) continue;
  if (send(REPORT, "S", 1, MSG_NOSIGNAL) != 1) _exit(FAILED);
  close(SYNC);
}

// Tells how the first process has ended; whatever else is left dies with process 1.
__attribute__((noreturn)) static void reap_until(pid_t first) {
  int status;
  for (;;) {
    pid_t ended = waitpid(-1, &status, 0);
    if (ended == first) break;
    if (ended < 0 && errno != EINTR) _exit(FAILED);
  }
  unsigned char text[3] = {'X', WIFEXITED(status) ? (unsigned char)WEXITSTATUS(status) : 0, WIFSIGNALED(status) ? (unsigned char)WTERMSIG(status) : 0};
  send(REPORT, text, sizeof text, MSG_NOSIGNAL);
  _exit(0);
}

// From the gateway's side first, then from the sandbox's own: nobody has to go back and forth.
static void make_namespaces(unsigned slot) {
  int outside = slot ? gateway_enter(OUTSIDE) : -1;
  if (slot && outside < 0) fail("gateway", "entering it");
  if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP)) fail("namespaces", NULL);
  const char *failed = network_up();
  if (!failed && slot) failed = gateway_connect(outside, slot);
  if (failed) fail("network", failed);
  if (slot && (close(outside) || close(OUTSIDE))) fail("descriptors", "gateway");
}

void sandbox_main(const struct request *request, const struct sandbox_descriptors *descriptors) {
  arrange_descriptors(descriptors);
  struct cgroup_limits limits = {request->memory_bytes, request->cpu_millis, request->processes_max};
  const char *failed = cgroup_join(request->name, &limits);
  if (failed) fail(failed, NULL);
  if (prctl(PR_SET_NAME, "init", 0, 0, 0)) fail("name", NULL);
  make_namespaces((unsigned)request->slot);
  if (sethostname("sandbox", 7) || setdomainname("", 0)) fail("host name", NULL);
  for (size_t i = 0; i < request->listener_count; i++) send_descriptor('L', request->listeners[i], network_listen(request->listeners[i]), "listener");
  if (request->datagrams) send_descriptor('D', (uint16_t)request->datagrams, network_receive((uint16_t)request->datagrams), "datagrams");
  if ((failed = filesystem_enter(request))) fail("file system", failed);
  if (request->prepared) send_descriptor('M', 0, open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC), "mount namespace");
  if (open("/dev/null", O_RDWR) != 0) fail("descriptors", "/dev/null");
  set_limits(request);
  pid_t first = start_first(request);
  await_exec();
  reap_until(first);
}
