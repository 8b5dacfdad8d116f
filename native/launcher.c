// The launcher: makes, freezes and ends sandboxes as the server asks. One per server; when either dies, every sandbox dies.
//
// Descriptor 0: requests (request.h). 1: events (u32 length, u8 kind, u32 id, payload). 2: its log. 3: hands descriptors to the server
// in the form in which Node takes them from a child process. There is no policy here: a request spells everything out.
// The first one, when we have told that we wait, brings what all sandboxes share.
#define _GNU_SOURCE
#include "cgroup.h"
#include "gateway.h"
#include "request.h"
#include "sandbox.h"
#include "seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SANDBOXES_MAX = 4096, REMOVE_RETRY_MS = 2, END_WAIT_MS = 10000, REQUESTS = 0, EVENTS = 1, HANDOVER = 3 };
enum event { EVENT_READY = 0, EVENT_STARTED = 1, EVENT_FAILED = 2, EVENT_EXITED = 3, EVENT_DONE = 4, EVENT_USAGE = 5, EVENT_REFUSED = 6, EVENT_WAITING = 7 };

struct sandbox {
  uint32_t id;
  char name[NAME_BYTES_MAX];
  pid_t pid;
  int pidfd;
  int report;
  int mount_namespace;  // of one that waits to be specialised; else -1: nobody enters it again
  size_t prepared;      // how many processes it has then
  bool has_ended;    // process 1 is gone, control groups may not be
  bool was_killed;
  unsigned char code;
  unsigned char signal;
  char failure[512];
};

static struct sandbox *sandboxes[SANDBOXES_MAX];
static size_t sandbox_count;
static size_t ended_count;
static bool is_rootless, wants_gateway, has_gateway, is_prepared;
static int epoll;
static char *title;  // arguments and environment, as /proc shows them
static size_t title_size;

static void end_all(void);

__attribute__((noreturn)) static void give_up(const char *why) {
  fprintf(stderr, "launcher: %s: %s\n", why, strerror(errno));
  end_all();
  _exit(1);
}

static void write_all(int to, const void *bytes, size_t size) {
  for (const char *at = bytes; size > 0;) {
    ssize_t written = write(to, at, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) give_up("the server does not listen");
    at += written;
    size -= (size_t)written;
  }
}

static void tell(enum event kind, uint32_t id, const void *payload, size_t size) {
  char frame[1024];
  uint32_t length = (uint32_t)(5 + size);
  memcpy(frame, &length, 4);
  frame[4] = (char)kind;
  memcpy(frame + 5, &id, 4);
  memcpy(frame + 9, payload, size);
  write_all(EVENTS, frame, 9 + size);
}

static void tell_text(enum event kind, uint32_t id, const char *text) { tell(kind, id, text, strlen(text)); }

// Node takes a line of JSON with one descriptor beside it.
static void hand_over(const struct sandbox *sandbox, const char *kind, unsigned port, int descriptor) {
  char line[256];
  const char *type = strcmp(kind, "datagrams") ? "net.Native" : "dgram.Socket\",\"dgramType\":\"udp4";
  int size = snprintf(line, sizeof line, "{\"cmd\":\"NODE_HANDLE\",\"type\":\"%s\",\"msg\":{\"id\":%u,\"kind\":\"%s\",\"port\":%u}}\n", type, sandbox->id, kind, port);
  char space[CMSG_SPACE(sizeof(int))] = {0};
  struct iovec part = {line, (size_t)size};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
  struct cmsghdr *head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(head), &descriptor, sizeof descriptor);
  ssize_t sent;
  do sent = sendmsg(HANDOVER, &message, MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  if (sent != size) give_up("handing over a descriptor");
  close(descriptor);
}

// What an event is about: a sandbox's report, or (the lowest bit set) its end; a number below SANDBOX_EVENTS is a descriptor of our own.
static void watch(int descriptor, const struct sandbox *sandbox, bool is_end) {
  struct epoll_event event = {.events = EPOLLIN, .data.u64 = sandbox ? (uintptr_t)sandbox | is_end : (uint64_t)descriptor};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event)) give_up("watching a descriptor");
}

// A sandbox whose process 1 is just being made has copies of our descriptors: closing ours alone would not end the events.
static void unwatch(int descriptor) {
  epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, NULL);
  close(descriptor);
}

static struct sandbox *find(const char *name) {
  for (size_t i = 0; i < sandbox_count; i++)
    if (name && !strcmp(sandboxes[i]->name, name)) return sandboxes[i];
  return NULL;
}

// The other namespaces are made by the new process itself, so that several sandboxes are made at the same time.
static pid_t clone_into_pid_namespace(int cgroup, int *pidfd) {
  struct clone_args arguments = {
    .flags = CLONE_NEWPID | CLONE_PIDFD | (cgroup < 0 ? 0 : CLONE_INTO_CGROUP),
    .pidfd = (uintptr_t)pidfd,
    .exit_signal = SIGCHLD,
    .cgroup = cgroup < 0 ? 0 : (uint64_t)cgroup,
  };
  return (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
}

enum pair { CONTROL_OURS, CONTROL_THEIRS, OUTPUT_OURS, OUTPUT_THEIRS, REPORT_OURS, REPORT_THEIRS, PAIRS };

// Our ends never block: a function that does not read must not stop the server. Theirs do, as programs expect it.
static bool make_pairs(int pairs[PAIRS]) {
  for (int i = 0; i < PAIRS; i++) pairs[i] = -1;
  return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pairs + CONTROL_OURS) == 0 && pipe2(pairs + OUTPUT_OURS, O_CLOEXEC) == 0 &&
         socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pairs + REPORT_OURS) == 0 &&
         fcntl(pairs[CONTROL_OURS], F_SETFL, O_RDWR | O_NONBLOCK) == 0 && fcntl(pairs[OUTPUT_OURS], F_SETFL, O_RDONLY | O_NONBLOCK) == 0;
}

static void close_pairs(int pairs[PAIRS], bool only_theirs) {
  int cause = errno;
  for (int i = only_theirs ? 1 : 0; i < PAIRS; i += only_theirs ? 2 : 1)
    if (pairs[i] >= 0) close(pairs[i]);
  errno = cause;
}

static const char *begin(struct sandbox *sandbox, const struct request *request, int cgroup) {
  int pairs[PAIRS];
  bool is_made = make_pairs(pairs);
  sandbox->pid = is_made ? clone_into_pid_namespace(cgroup, &sandbox->pidfd) : -1;
  if (sandbox->pid == 0) {
    memset(title, 0, title_size);  // the command line names a path of the host, the environment tells of the server
    sandbox_main(request, &(struct sandbox_descriptors){pairs[CONTROL_THEIRS], pairs[OUTPUT_THEIRS], pairs[REPORT_THEIRS], request->slot ? GATEWAY : -1});
  }
  close_pairs(pairs, sandbox->pid > 0);
  if (sandbox->pid < 0) return is_made ? "a process in a new pid namespace" : "descriptors";
  sandbox->report = pairs[REPORT_OURS];
  hand_over(sandbox, "control", 0, pairs[CONTROL_OURS]);
  hand_over(sandbox, "output", 0, pairs[OUTPUT_OURS]);
  return NULL;
}

static const char *create(struct sandbox *sandbox, const struct request *request) {
  struct cgroup_limits limits = {request->memory_bytes, request->cpu_millis, request->processes_max};
  int cgroup = -1;
  const char *failed = cgroup_create(sandbox->name, &limits, &cgroup);
  if (!failed) failed = begin(sandbox, request, cgroup);
  int cause = errno;
  if (cgroup >= 0) close(cgroup);
  if (failed) cgroup_remove(sandbox->name);
  errno = cause;
  return failed;
}

static void refuse(uint32_t id, const char *failed) {
  char text[600];
  snprintf(text, sizeof text, "%s: %s", failed, strerror(errno));
  tell_text(EVENT_REFUSED, id, text);
}

static void start(struct request *request) {
  if (request->slot && !has_gateway) {
    tell_text(EVENT_REFUSED, request->id, "this launcher was started without a gateway to the internet");
    return;
  }
  struct sandbox *sandbox = calloc(1, sizeof *sandbox);
  if (!sandbox || sandbox_count == SANDBOXES_MAX || find(request->name)) {
    free(sandbox);
    tell_text(EVENT_REFUSED, request->id, "too many sandboxes, or one of this name is there");
    return;
  }
  sandbox->id = request->id;
  sandbox->mount_namespace = -1;
  sandbox->prepared = (size_t)request->prepared;
  snprintf(sandbox->name, sizeof sandbox->name, "%s", request->name);
  const char *failed = create(sandbox, request);
  if (!failed) {
    sandboxes[sandbox_count++] = sandbox;
    watch(sandbox->report, sandbox, false);
    watch(sandbox->pidfd, sandbox, true);
    return;
  }
  refuse(request->id, failed);
  free(sandbox);
}

static void end(struct sandbox *sandbox) {
  sandbox->was_killed = true;
  syscall(SYS_pidfd_send_signal, sandbox->pidfd, SIGKILL, NULL, 0);
  cgroup_let_die(sandbox->name);
}

static void hear(struct sandbox *sandbox) {
  char text[512];
  char space[CMSG_SPACE(sizeof(int))];
  struct iovec part = {text, sizeof text - 1};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
  ssize_t size = recvmsg(sandbox->report, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size <= 0) {
    unwatch(sandbox->report);
    sandbox->report = -1;
    return;
  }
  text[size] = 0;
  struct cmsghdr *head = CMSG_FIRSTHDR(&message);
  int descriptor = -1;
  if (head && head->cmsg_type == SCM_RIGHTS) memcpy(&descriptor, CMSG_DATA(head), sizeof descriptor);
  switch (text[0]) {
    case 'D':
    case 'L':
      if (descriptor >= 0 && size == 3) hand_over(sandbox, text[0] == 'D' ? "datagrams" : "listener", (unsigned char)text[1] | (unsigned)(unsigned char)text[2] << 8, descriptor);
      break;
    case 'M': sandbox->mount_namespace = descriptor; break;
    case 'S':
      if (!sandbox->failure[0]) tell(EVENT_STARTED, sandbox->id, &sandbox->pid, sizeof sandbox->pid);
      break;
    case 'X': sandbox->code = (unsigned char)text[1], sandbox->signal = (unsigned char)text[2]; break;
    case 'E':
      snprintf(sandbox->failure, sizeof sandbox->failure, "%s", text + 1);
      end(sandbox);
      break;
    default: break;
  }
}

// Process 1 is gone, and with it everything inside.
static void reap(struct sandbox *sandbox) {
  siginfo_t how = {0};
  if (waitid(P_PIDFD, (id_t)sandbox->pidfd, &how, WEXITED | WNOHANG) || how.si_pid == 0) return;
  while (sandbox->report >= 0) hear(sandbox);
  unwatch(sandbox->pidfd);
  if (sandbox->mount_namespace >= 0) close(sandbox->mount_namespace);
  sandbox->mount_namespace = -1;
  sandbox->has_ended = true;
  ended_count++;
  if (how.si_code != CLD_EXITED && sandbox->signal == 0) sandbox->signal = SIGKILL;
}

// Told only when nothing of the sandbox is left, so that who hears it can count on that.
static bool finish(struct sandbox *sandbox) {
  struct __attribute__((packed)) {
    uint8_t code, signal, was_out_of_memory;
    uint64_t memory_peak;
  } how = {sandbox->code, sandbox->signal, !sandbox->was_killed && cgroup_memory_kills(sandbox->name) > 0, cgroup_memory_peak(sandbox->name)};
  if (!cgroup_remove(sandbox->name)) return false;
  if (sandbox->failure[0]) tell_text(EVENT_FAILED, sandbox->id, sandbox->failure);
  else tell(EVENT_EXITED, sandbox->id, &how, sizeof how);
  return true;
}

// Once, and before anybody's code runs inside. What could only be done in part must not go on.
static const char *specialise(struct sandbox *sandbox, const struct request *request) {
  int mount_namespace = sandbox->mount_namespace;
  if (mount_namespace < 0) return errno = EPERM, "not prepared, or serving already";
  sandbox->mount_namespace = -1;
  struct cgroup_limits limits = {request->memory_bytes, request->cpu_millis, request->processes_max};
  const char *failed = cgroup_limit(sandbox->name, &limits);
  if (!failed) failed = filesystem_add(mount_namespace, request);
  // Process 1 can't tell the end of the first process while it is frozen.
  if (!failed && cgroup_processes(sandbox->name) < sandbox->prepared) errno = ESRCH, failed = "the first process";
  if (!failed) failed = cgroup_freeze(sandbox->name, false);
  int cause = errno;
  close(mount_namespace);
  if (failed) end(sandbox);
  errno = cause;
  return failed;
}

static bool write_once(const char *path, const char *text) {
  int file = open(path, O_WRONLY | O_CLOEXEC);
  bool is_written = file >= 0 && write(file, text, strlen(text)) == (ssize_t)strlen(text);
  if (file >= 0) close(file);
  return is_written;
}

// What the kernel counts by user it counts for the user outside too, over all that is in here: each sandbox may take a part only.
static bool divide_counted(void) {
  struct rlimit queues = {80 << 10, 80 << 10}, signals = {4096, 4096};
  return write_once("/proc/sys/user/max_inotify_instances", "8") && setrlimit(RLIMIT_MSGQUEUE, &queues) == 0 && setrlimit(RLIMIT_SIGPENDING, &signals) == 0;
}

// Everything that sandboxes share. Without root, the server has mapped our user namespace: its user is root in here.
static const char *prepare(const struct request *request) {
  if (geteuid()) return errno = EPERM, "the subordinate user and group ids are not mapped";
  if (is_rootless && !divide_counted()) return "limits on what is counted by user";
  seccomp_keep(request->filter, request->filter_bytes);
  const char *failed = wants_gateway ? gateway_create() : NULL;
  has_gateway = wants_gateway && !failed;
  return failed ? failed : filesystem_prepare(request);
}

__attribute__((noreturn)) static void fail(const char *missing) {
  char text[600];
  snprintf(text, sizeof text, "%s: %s", missing, strerror(errno));
  end_all();
  tell_text(EVENT_FAILED, 0, text);
  _exit(1);
}

static void obey_prepare(const struct request *request) {
  if (is_prepared) return tell_text(EVENT_REFUSED, request->id, "this launcher is prepared already");
  const char *failed = prepare(request);
  if (failed) fail(failed);
  is_prepared = true;
  tell_text(EVENT_READY, request->id, "");
}

static void obey(struct request *request) {
  if (request->operation == OP_PREPARE) return obey_prepare(request);
  if (!is_prepared) return tell_text(EVENT_REFUSED, request->id, "this launcher is not prepared");
  if (request->operation == OP_START) return start(request);
  struct sandbox *sandbox = find(request->name);
  if (!sandbox || sandbox->has_ended) {
    tell_text(EVENT_REFUSED, request->id, "no such sandbox");
    return;
  }
  const char *failed = NULL;
  if (request->operation == OP_KILL) end(sandbox);
  else if (request->operation == OP_USAGE) {
    uint64_t usage[2] = {cgroup_memory_peak(sandbox->name), cgroup_memory_kills(sandbox->name)};
    tell(EVENT_USAGE, request->id, usage, sizeof usage);
    return;
  } else if (request->operation == OP_SPECIALISE) failed = specialise(sandbox, request);
  else if (request->operation == OP_LIMIT_CPU) failed = cgroup_limit_cpu(sandbox->name, request->cpu_millis);
  else failed = cgroup_freeze(sandbox->name, request->operation == OP_FREEZE);
  if (failed) refuse(request->id, failed);
  else tell(EVENT_DONE, request->id, "", 0);
}

static char input[FRAME_BYTES_MAX * 2];
static size_t input_size;

// Takes what has come; false when the server has gone.
static bool take_requests(void) {
  ssize_t size = read(REQUESTS, input + input_size, sizeof input - input_size);
  if (size <= 0) return size < 0 && errno == EINTR;
  input_size += (size_t)size;
  size_t at = 0;
  for (uint32_t length; input_size - at >= 4; at += 4 + length) {
    memcpy(&length, input + at, 4);
    if (length > FRAME_BYTES_MAX) give_up("a request is too long");
    if (input_size - at - 4 < length) break;
    static struct request request;
    const char *refusal = request_parse(input + at + 4, length, &request);
    if (refusal) tell_text(EVENT_REFUSED, request.id, refusal);
    else obey(&request);
    explicit_bzero(input + at + 4, length);  // its secrets are no business of the next sandbox's process 1
  }
  memmove(input, input + at, input_size -= at);
  explicit_bzero(input + input_size, at);  // nor is what has come of the next request, where it was
  return true;
}

// Its acknowledgements of descriptors say nothing new; false when the server has gone.
static bool drain(int from) {
  char ignored[4096];
  return read(from, ignored, sizeof ignored) != 0;
}

static void remove_ended(void) {
  for (size_t i = sandbox_count; ended_count > 0 && i-- > 0;) {
    if (!sandboxes[i]->has_ended || !finish(sandboxes[i])) continue;
    free(sandboxes[i]);
    sandboxes[i] = sandboxes[--sandbox_count];
    ended_count--;
  }
}

// Once around: waits for requests, reports and ends. False when the server has gone.
static bool turn(void) {
  struct epoll_event events[64];
  int count = epoll_wait(epoll, events, 64, ended_count ? REMOVE_RETRY_MS : -1);
  bool is_served = count >= 0 || errno == EINTR;
  for (int i = 0; i < count; i++) {
    struct sandbox *sandbox = (struct sandbox *)(uintptr_t)(events[i].data.u64 & ~1ULL);
    if (events[i].data.u64 == HANDOVER) is_served &= drain(HANDOVER);
    else if (events[i].data.u64 == REQUESTS) is_served &= take_requests();
    else if (events[i].data.u64 & 1) reap(sandbox);
    else if (sandbox->report >= 0) hear(sandbox);
  }
  remove_ended();
  return is_served;
}

// Bounded: a process that hangs in the kernel must not keep the server from stopping; the next start sweeps up after it.
static void end_all(void) {
  for (size_t i = 0; i < sandbox_count; i++)
    if (!sandboxes[i]->has_ended) end(sandboxes[i]);
  for (size_t i = 0; i < sandbox_count; i++) {
    struct pollfd gone = {.fd = sandboxes[i]->has_ended ? -1 : sandboxes[i]->pidfd, .events = POLLIN};
    if (gone.fd >= 0 && poll(&gone, 1, END_WAIT_MS) == 1) waitpid(sandboxes[i]->pid, NULL, 0);
    for (int tries = 0; !cgroup_remove(sandboxes[i]->name) && tries < 1000; tries++) usleep(1000);
  }
  cgroup_exit();
}

// Up to where the server has to act: it maps the user namespace that is made without root, and says what sandboxes share.
static const char *begin_preparing(char **hierarchies, size_t count) {
  struct rlimit files;
  umask(022);
  if (!getrlimit(RLIMIT_NOFILE, &files)) setrlimit(RLIMIT_NOFILE, &(struct rlimit){files.rlim_max, files.rlim_max});
  epoll = epoll_create1(EPOLL_CLOEXEC);
  watch(REQUESTS, NULL, false);
  watch(HANDOVER, NULL, false);
  const char *missing = cgroup_init(hierarchies, count);
  is_rootless = geteuid() != 0;
  return missing ? missing : is_rootless && unshare(CLONE_NEWUSER) ? "a user namespace can't be made" : NULL;
}

// Arguments: "internet" for a gateway, or nothing; then the hierarchies of control groups (cgroup.h).
int main(int argc, char **argv) {
  title = argv[0];
  char *last = argv[argc - 1];
  for (char **variable = environ; *variable; variable++) last = *variable;  // they stand behind the arguments
  title_size = strlen(last) + (size_t)(last - title);
  wants_gateway = argc > 1 && !strcmp(argv[1], "internet");
  signal(SIGPIPE, SIG_IGN);
  // Ctrl-C reaches the whole group, and systemd asks every process of a service to end: the server decides what that means.
  signal(SIGINT, SIG_IGN);
  signal(SIGTERM, SIG_IGN);
  const char *missing = begin_preparing(argv + 2, argc > 2 ? (size_t)argc - 2 : 0);
  if (missing) fail(missing);
  tell_text(EVENT_WAITING, 0, "");
  while (turn()) continue;
  end_all();
  return 0;
}
