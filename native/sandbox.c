// Process 1 of a sandbox: assembles its layers one by one, starts the function's first process, and reaps until that has ended.
#define _GNU_SOURCE
#include "sandbox.h"
#include "seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { INSIDE_UID = 993, INSIDE_GID = 990, FAILED = 111, CAPABILITIES_MAX = 63 };

static int report_to = -1;

__attribute__((noreturn)) static void fail(const char *step, const char *what) {
  char text[512];
  int cause = errno;
  int size = snprintf(text, sizeof text, "E%s%s%s: %s", step, what ? ": " : "", what ? what : "", strerror(cause));
  send(report_to, text, (size_t)size < sizeof text ? (size_t)size : sizeof text - 1, MSG_NOSIGNAL);
  _exit(FAILED);
}

static void send_descriptor(uint16_t port, int descriptor) {
  char text[3] = {'L', (char)(port & 255), (char)(port >> 8)};
  char space[CMSG_SPACE(sizeof(int))] = {0};
  struct iovec part = {text, sizeof text};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
  struct cmsghdr *head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(head), &descriptor, sizeof descriptor);
  if (sendmsg(report_to, &message, MSG_NOSIGNAL) < 0) fail("listener", "handing over");
  close(descriptor);
}

// The launcher writes the uid mapping of a new user namespace: what is inside has no power over anything outside.
static void ask_launcher(char question) {
  char reply;
  if (send(report_to, &question, 1, MSG_NOSIGNAL) != 1 || recv(report_to, &reply, 1, 0) != 1) _exit(FAILED);
}

static void limit(int resource, const char *name, rlim_t amount) {
  struct rlimit present;
  if (getrlimit((__rlimit_resource_t)resource, &present)) fail("limit", name);
  rlim_t allowed = present.rlim_max < amount ? present.rlim_max : amount;
  struct rlimit wanted = {allowed, allowed};
  if (setrlimit((__rlimit_resource_t)resource, &wanted)) fail("limit", name);
}

static void set_limits(const struct request *request) {
  limit(RLIMIT_NOFILE, "open files", request->open_files_max);
  limit(RLIMIT_NPROC, "processes", request->processes_max);
  limit(RLIMIT_CORE, "core", 0);
  limit(RLIMIT_MEMLOCK, "locked memory", 64 << 10);
  limit(RLIMIT_STACK, "stack", 8 << 20);
  limit(RLIMIT_MSGQUEUE, "message queues", 800 << 10);
}

static void drop_privileges(void) {
  if (setgroups(0, NULL) || setresgid(INSIDE_GID, INSIDE_GID, INSIDE_GID) || setresuid(INSIDE_UID, INSIDE_UID, INSIDE_UID)) fail("user", NULL);
  struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct none[2] = {0};
  if (syscall(SYS_capset, &head, none)) fail("capabilities", NULL);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) fail("no new privileges", NULL);
  // Not even the sandbox's own user may look into process 1.
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)) fail("dumpable", NULL);
  // Cleared by the change of user, so it is set last: when the launcher dies, so does everything here.
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)) fail("parent death signal", NULL);
}

static void drop_bounding_set(void) {
  for (int capability = 0; capability <= CAPABILITIES_MAX; capability++)
    if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) && errno != EINVAL) fail("capabilities", "bounding set");
}

// Descriptors 0 to 3 and nothing else; `report` moves to 4 and closes itself at exec.
static void arrange_descriptors(const struct sandbox_descriptors *given) {
  int control = fcntl(given->control, F_DUPFD_CLOEXEC, 10), output = fcntl(given->output, F_DUPFD_CLOEXEC, 10);
  int report = fcntl(given->report, F_DUPFD_CLOEXEC, 10), empty = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (control < 0 || output < 0 || report < 0 || empty < 0) fail("descriptors", NULL);
  if (prctl(PR_SET_NAME, "init", 0, 0, 0) || dup2(empty, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0 || dup2(control, 3) < 0 || dup3(report, 4, O_CLOEXEC) < 0) fail("descriptors", NULL);
  report_to = 4;
  if (syscall(SYS_close_range, 5, ~0U, 0)) fail("descriptors", "closing");
}

__attribute__((noreturn)) static void run(const struct request *request) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  if (chdir(request->directory)) fail("working directory", request->directory);
  if (seccomp_install()) fail("system call filter", NULL);
  execve(request->arguments[0], request->arguments, request->variables);
  fail("exec", request->arguments[0]);
}

// Tells the launcher that the function's first process runs: the write end of the pipe closes at its exec.
static void await_exec(int exec_pipe) {
  char none;
  while (read(exec_pipe, &none, 1) < 0 && errno == EINTR) continue;
  send(report_to, "S", 1, MSG_NOSIGNAL);
  syscall(SYS_close_range, 0, 3, 0);
  syscall(SYS_close_range, 5, ~0U, 0);
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
  send(report_to, text, sizeof text, MSG_NOSIGNAL);
  _exit(0);
}

__attribute__((noreturn)) void sandbox_main(const struct request *request, const struct sandbox_descriptors *descriptors) {
  arrange_descriptors(descriptors);
  const char *failed = filesystem_open(request);
  if (failed) fail("mount source", failed);
  ask_launcher('U');  // attached to its control groups when the answer comes
  if (unshare(CLONE_NEWCGROUP)) fail("control group namespace", NULL);
  if (sethostname("sandbox", 7)) fail("host name", NULL);
  if ((failed = network_up())) fail(failed, NULL);
  for (size_t i = 0; i < request->listener_count; i++) {
    int listener = network_listen(request->listeners[i]);
    if (listener < 0) fail("listener", NULL);
    send_descriptor(request->listeners[i], listener);
  }
  if ((failed = filesystem_enter(request))) fail("file system", failed);
  set_limits(request);
  if (unshare(CLONE_NEWUSER)) fail("user namespace", NULL);
  ask_launcher('M');
  drop_bounding_set();  // a new user namespace comes with a full one
  drop_privileges();
  int exec_pipe[2];
  if (pipe2(exec_pipe, O_CLOEXEC)) fail("pipe", NULL);
  pid_t first = fork();
  if (first < 0) fail("fork", NULL);
  if (first == 0) run(request);
  close(exec_pipe[1]);
  await_exec(exec_pipe[0]);
  reap_until(first);
}
