// The launcher: makes, freezes and ends sandboxes as the server asks. One per server; when either dies, every sandbox dies.
//
// Descriptor 0: requests (request.h). 1: events (u32 length, u8 kind, u32 id, payload). 2: its log. 3: hands descriptors to the server
// in the form in which Node takes them from a child process. There is no policy here: a request spells everything out.
#define _GNU_SOURCE
#include "cgroup.h"
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
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SANDBOXES_MAX = 4096, REMOVE_RETRY_MS = 2, INSIDE_UID = 993, INSIDE_GID = 990 };
enum event { EVENT_READY = 0, EVENT_STARTED = 1, EVENT_FAILED = 2, EVENT_EXITED = 3, EVENT_DONE = 4, EVENT_USAGE = 5, EVENT_REFUSED = 6 };

struct sandbox {
  uint32_t id;
  char name[NAME_BYTES_MAX];
  uint64_t uid;
  pid_t pid;
  int pidfd;
  int report;
  bool has_ended;    // process 1 is gone, control groups may not be
  bool was_killed;
  unsigned char code;
  unsigned char signal;
  char failure[512];
};

static struct sandbox *sandboxes[SANDBOXES_MAX];
static size_t sandbox_count;
static char *title;
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
  write_all(1, frame, 9 + size);
}

static void tell_text(enum event kind, uint32_t id, const char *text) { tell(kind, id, text, strlen(text)); }

// Node takes a line of JSON with one descriptor beside it.
static void hand_over(const struct sandbox *sandbox, const char *kind, unsigned port, int descriptor) {
  char line[256];
  int size = snprintf(line, sizeof line, "{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Native\",\"msg\":{\"id\":%u,\"kind\":\"%s\",\"port\":%u}}\n", sandbox->id, kind, port);
  char space[CMSG_SPACE(sizeof(int))] = {0};
  struct iovec part = {line, (size_t)size};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
  struct cmsghdr *head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(head), &descriptor, sizeof descriptor);
  ssize_t sent;
  do sent = sendmsg(3, &message, MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  if (sent != size) give_up("handing over a descriptor");
  close(descriptor);
}

static struct sandbox *find(const char *name) {
  for (size_t i = 0; i < sandbox_count; i++)
    if (name && !strcmp(sandboxes[i]->name, name)) return sandboxes[i];
  return NULL;
}

static pid_t clone_into_namespaces(int *pidfd) {
  struct clone_args arguments = {
    .flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_PIDFD,
    .pidfd = (uintptr_t)pidfd,
    .exit_signal = SIGCHLD,
  };
  return (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
}

struct pairs {
  int control[2], output[2], report[2];
};

static bool make_pairs(struct pairs *pairs) {
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pairs->control)) return false;
  if (pipe2(pairs->output, O_CLOEXEC)) return false;
  return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pairs->report) == 0;
}

static const char *begin(struct sandbox *sandbox, const struct request *request) {
  struct pairs pairs;
  if (!make_pairs(&pairs)) return "descriptors";
  sandbox->pid = clone_into_namespaces(&sandbox->pidfd);
  if (sandbox->pid < 0) return "namespaces";
  if (sandbox->pid == 0) {
    memset(title, 0, title_size);  // the command line names a path of the host
    sandbox_main(request, &(struct sandbox_descriptors){pairs.control[1], pairs.output[1], pairs.report[1]});
  }
  close(pairs.control[1]);
  close(pairs.output[1]);
  close(pairs.report[1]);
  sandbox->report = pairs.report[0];
  hand_over(sandbox, "control", 0, pairs.control[0]);
  hand_over(sandbox, "output", 0, pairs.output[0]);
  return NULL;
}

static void start(const struct request *request) {
  struct sandbox *sandbox = calloc(1, sizeof *sandbox);
  if (!sandbox || sandbox_count == SANDBOXES_MAX || find(request->name)) {
    free(sandbox);
    tell_text(EVENT_REFUSED, request->id, "too many sandboxes, or one of this name is there");
    return;
  }
  sandbox->id = request->id;
  sandbox->uid = request->uid;
  snprintf(sandbox->name, sizeof sandbox->name, "%s", request->name);
  struct cgroup_limits limits = {request->memory_bytes, request->cpu_millis, request->processes_max};
  const char *failed = cgroup_create(sandbox->name, &limits);
  if (!failed && (failed = begin(sandbox, request))) cgroup_remove(sandbox->name);
  if (!failed) {
    sandboxes[sandbox_count++] = sandbox;
    return;
  }
  char text[512];
  snprintf(text, sizeof text, "%s: %s", failed, strerror(errno));
  tell_text(EVENT_REFUSED, request->id, text);
  free(sandbox);
}

static void end(struct sandbox *sandbox) {
  sandbox->was_killed = true;
  cgroup_freeze(sandbox->name, false);  // a version 1 freezer holds back even SIGKILL
  syscall(SYS_pidfd_send_signal, sandbox->pidfd, SIGKILL, NULL, 0);
}

static bool write_map(pid_t pid, const char *file, unsigned inside, uint64_t outside) {
  char path[64], line[64];
  snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
  int size = snprintf(line, sizeof line, "%u %llu 1\n", inside, (unsigned long long)outside);
  int map = open(path, O_WRONLY | O_CLOEXEC);
  bool is_written = map >= 0 && write(map, line, (size_t)size) == size;
  if (map >= 0) close(map);
  return is_written;
}

static void answer(struct sandbox *sandbox, bool is_done, const char *what) {
  if (is_done && send(sandbox->report, "k", 1, MSG_NOSIGNAL) == 1) return;
  snprintf(sandbox->failure, sizeof sandbox->failure, "%s: %s", what, strerror(errno));
  end(sandbox);
}

static void hear(struct sandbox *sandbox) {
  char text[512];
  char space[CMSG_SPACE(sizeof(int))];
  struct iovec part = {text, sizeof text - 1};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
  ssize_t size = recvmsg(sandbox->report, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size <= 0) {
    close(sandbox->report);
    sandbox->report = -1;
    return;
  }
  text[size] = 0;
  struct cmsghdr *head = CMSG_FIRSTHDR(&message);
  int descriptor = -1;
  if (head && head->cmsg_type == SCM_RIGHTS) memcpy(&descriptor, CMSG_DATA(head), sizeof descriptor);
  switch (text[0]) {
    case 'U': answer(sandbox, cgroup_attach(sandbox->name, sandbox->pid) == NULL, "control groups"); break;
    case 'M':
      answer(sandbox, write_map(sandbox->pid, "uid_map", INSIDE_UID, sandbox->uid) && write_map(sandbox->pid, "gid_map", INSIDE_GID, sandbox->uid), "uid mapping");
      break;
    case 'L':
      if (descriptor >= 0 && size == 3) hand_over(sandbox, "listener", (unsigned char)text[1] | (unsigned)(unsigned char)text[2] << 8, descriptor);
      break;
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

static void reap(struct sandbox *sandbox) {
  siginfo_t how = {0};
  if (waitid(P_PIDFD, (id_t)sandbox->pidfd, &how, WEXITED | WNOHANG) || how.si_pid == 0) return;
  while (sandbox->report >= 0) hear(sandbox);
  close(sandbox->pidfd);
  sandbox->has_ended = true;
  if (how.si_code != CLD_EXITED && sandbox->signal == 0) sandbox->signal = SIGKILL;
}

// Told only when nothing of the sandbox is left, so that who hears it can count on that.
static bool finish(struct sandbox *sandbox) {
  struct __attribute__((packed)) {
    uint8_t code, signal, was_out_of_memory;
    uint64_t memory_peak;
  } how = {sandbox->code, sandbox->signal, cgroup_was_out_of_memory(sandbox->name), cgroup_memory_peak(sandbox->name)};
  if (!cgroup_remove(sandbox->name)) return false;
  if (sandbox->failure[0]) tell_text(EVENT_FAILED, sandbox->id, sandbox->failure);
  else tell(EVENT_EXITED, sandbox->id, &how, sizeof how);
  return true;
}

static void obey(const struct request *request) {
  if (request->operation == OP_START) {
    start(request);
    return;
  }
  struct sandbox *sandbox = find(request->name);
  if (!sandbox || sandbox->has_ended) {
    tell_text(EVENT_REFUSED, request->id, "no such sandbox");
    return;
  }
  const char *failed = NULL;
  if (request->operation == OP_KILL) end(sandbox);
  else if (request->operation == OP_USAGE) {
    uint64_t peak = cgroup_memory_peak(sandbox->name);
    tell(EVENT_USAGE, request->id, &peak, sizeof peak);
    return;
  } else if (request->operation == OP_LIMIT_CPU) failed = cgroup_limit_cpu(sandbox->name, request->cpu_millis);
  else failed = cgroup_freeze(sandbox->name, request->operation == OP_FREEZE);
  if (failed) tell_text(EVENT_REFUSED, request->id, failed);
  else tell(EVENT_DONE, request->id, "", 0);
}

static char input[FRAME_BYTES_MAX * 2];
static size_t input_size;

// Takes what has come; false when the server has gone.
static bool take_requests(void) {
  ssize_t size = read(0, input + input_size, sizeof input - input_size);
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
  }
  memmove(input, input + at, input_size -= at);
  return true;
}

// Its acknowledgements of descriptors say nothing new; false when the server has gone.
static bool drain(int from) {
  char ignored[4096];
  return read(from, ignored, sizeof ignored) != 0;
}

// Once around: waits for requests, reports and ends. False when the server has gone.
static bool turn(void) {
  static struct pollfd waiting[2 + 2 * SANDBOXES_MAX];
  bool is_removing = false;
  size_t count = sandbox_count;
  waiting[0] = (struct pollfd){.fd = 0, .events = POLLIN};
  waiting[1] = (struct pollfd){.fd = 3, .events = POLLIN};
  for (size_t i = 0; i < count; i++) {
    waiting[2 + 2 * i] = (struct pollfd){.fd = sandboxes[i]->report, .events = POLLIN};
    waiting[3 + 2 * i] = (struct pollfd){.fd = sandboxes[i]->has_ended ? -1 : sandboxes[i]->pidfd, .events = POLLIN};
    is_removing |= sandboxes[i]->has_ended;
  }
  if (poll(waiting, 2 + 2 * count, is_removing ? REMOVE_RETRY_MS : -1) < 0) return errno == EINTR;
  for (size_t i = 0; i < count; i++) {
    if (waiting[2 + 2 * i].revents && sandboxes[i]->report >= 0) hear(sandboxes[i]);
    if (waiting[3 + 2 * i].revents) reap(sandboxes[i]);
  }
  bool is_served = (!waiting[1].revents || drain(3)) && (!waiting[0].revents || take_requests());
  for (size_t i = sandbox_count; i-- > 0;) {
    if (!sandboxes[i]->has_ended || !finish(sandboxes[i])) continue;
    free(sandboxes[i]);
    sandboxes[i] = sandboxes[--sandbox_count];
  }
  return is_served;
}

static void end_all(void) {
  for (size_t i = 0; i < sandbox_count; i++) end(sandboxes[i]);
  for (size_t i = 0; i < sandbox_count; i++) {
    if (!sandboxes[i]->has_ended) waitpid(sandboxes[i]->pid, NULL, 0);
    for (int tries = 0; !cgroup_remove(sandboxes[i]->name) && tries < 1000; tries++) usleep(1000);
  }
  cgroup_exit();
}

int main(int argc, char **argv) {
  title = argv[0];
  title_size = strlen(argv[argc - 1]) + (size_t)(argv[argc - 1] - argv[0]);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGINT, SIG_IGN);  // Ctrl-C reaches the whole group: the server decides what it means
  const char *missing = geteuid() ? "the sandbox launcher needs root; rootless sandboxes are not built yet" : seccomp_prepare();
  if (!missing) missing = cgroup_init();
  if (missing) {
    tell_text(EVENT_FAILED, 0, missing);
    return 1;
  }
  tell_text(EVENT_READY, 0, "");
  while (turn()) continue;
  end_all();
  return 0;
}
