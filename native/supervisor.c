// The first process of a supervised sandbox: starts the others, tells how they end, ends all of them when a runtime is to begin anew, and carries
// bytes between the server and what listens or writes inside. It has the function's user and rights: no more power than the function itself.
//
// Arguments: the port of the server's listener, then the command of the main process, if it is to start at once. Its first connection to that port
// carries frames (u32 length, u8 kind, payload; little-endian); each other one is a stream that begins with a token of the server's.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
  CONTROL = 3, FRAME_BYTES_MAX = 512 * 1024, CHILDREN_MAX = 32, RELAYS_MAX = 64, RELAY_BYTES = 16 * 1024, TOKEN_BYTES = 16, WORDS_MAX = 512,
  CONNECT_MS_MAX = 200,
};
enum command { SPAWN = 'S', SIGNAL = 'K', CLEAR = 'C', CONNECT = 'T' };
enum event { EXITED = 'X', NOT_SPAWNED = 'N', CLEARED = 'D', NOT_CONNECTED = 'F' };
enum spawn_flags { WITH_CONTROL = 1, WITH_OUTPUT = 2 };

struct relay {
  int from, to;
  size_t start, end;
  bool has_ended;
  char bytes[RELAY_BYTES];
};

static struct {
  pid_t pid;
  uint32_t id;
} children[CHILDREN_MAX];
static struct relay *relays[RELAYS_MAX];
static uint16_t server_port;
static int channel = -1;
static char input[FRAME_BYTES_MAX + 4];
static size_t input_size;
extern char **environ;

static void on_child(int number) { (void)number; }

static bool write_all(int to, const void *bytes, size_t size) {
  for (const char *at = bytes; size > 0;) {
    ssize_t written = write(to, at, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    at += written;
    size -= (size_t)written;
  }
  return true;
}

// The server is gone, or does not listen: nobody is left to work for, and the sandbox ends with this process.
static void tell(enum event kind, uint32_t id, unsigned char first, unsigned char second) {
  unsigned char frame[11] = {7, 0, 0, 0, (unsigned char)kind, 0, 0, 0, 0, first, second};
  memcpy(frame + 5, &id, sizeof id);
  if (!write_all(channel, frame, sizeof frame)) _exit(1);
}

static int connect_to(const char *host, uint16_t port, bool waits) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  inet_pton(AF_INET, host, &address.sin_addr);
  int one = 1, made = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | (waits ? 0 : SOCK_NONBLOCK), 0);
  if (made < 0) return -1;
  setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  int cause = connect(made, (struct sockaddr *)&address, sizeof address) ? errno : 0;
  socklen_t size = sizeof cause;
  struct pollfd ready = {.fd = made, .events = POLLOUT};
  if (cause == EINPROGRESS && (poll(&ready, 1, CONNECT_MS_MAX) != 1 || getsockopt(made, SOL_SOCKET, SO_ERROR, &cause, &size))) cause = ETIMEDOUT;
  if (cause == 0) return made;
  close(made);
  errno = cause;
  return -1;
}

// A stream to the server that it recognises by its token.
static int dial(const char *token) {
  int made = connect_to("127.0.0.1", server_port, true);
  if (made >= 0 && !write_all(made, token, TOKEN_BYTES)) close(made), made = -1;
  return made;
}

static bool carry(int from, int to) {
  for (size_t i = 0; i < RELAYS_MAX && from >= 0 && to >= 0; i++) {
    if (relays[i]) continue;
    if (!(relays[i] = calloc(1, sizeof *relays[i]))) break;
    relays[i]->from = from;
    relays[i]->to = to;
    fcntl(from, F_SETFL, fcntl(from, F_GETFL) | O_NONBLOCK);
    fcntl(to, F_SETFL, fcntl(to, F_GETFL) | O_NONBLOCK);
    return true;
  }
  if (from >= 0) close(from);
  if (to >= 0) close(to);
  return false;
}

static void drop(size_t i) {
  shutdown(relays[i]->to, SHUT_WR);
  close(relays[i]->from);
  close(relays[i]->to);
  free(relays[i]);
  relays[i] = NULL;
}

static bool can_wait(void) { return errno == EAGAIN || errno == EINTR; }

// Moves what can be moved now.
static void move(size_t i) {
  struct relay *relay = relays[i];
  if (!relay->has_ended && relay->end == 0) {
    ssize_t size = read(relay->from, relay->bytes, sizeof relay->bytes);
    if (size > 0) relay->end = (size_t)size;
    else if (size == 0 || !can_wait()) relay->has_ended = true;
  }
  if (relay->start < relay->end) {
    ssize_t size = write(relay->to, relay->bytes + relay->start, relay->end - relay->start);
    if (size > 0) relay->start += (size_t)size;
    else if (!can_wait()) relay->start = relay->end, relay->has_ended = true;
  }
  if (relay->start == relay->end) relay->start = relay->end = 0;
  if (relay->has_ended && relay->end == 0) drop(i);
}

__attribute__((noreturn)) static void run(int control, int output, const char *directory, char **words, char **variables, int failed) {
  sigset_t none;
  sigemptyset(&none);
  signal(SIGCHLD, SIG_DFL);
  signal(SIGPIPE, SIG_DFL);
  sigprocmask(SIG_SETMASK, &none, NULL);
  bool is_ready = (control < 0 || control == CONTROL || dup2(control, CONTROL) >= 0) &&
                  (output < 0 || (dup2(output, 1) >= 0 && dup2(output, 2) >= 0)) && (!directory || chdir(directory) == 0);
  if (is_ready) execve(words[0], words, variables);
  int cause = errno;
  write_all(failed, &cause, sizeof cause);
  _exit(127);
}

// 0, or why its program could not be run.
static int start(uint32_t id, int control, int output, const char *directory, char **words, char **variables) {
  size_t place = 0;
  while (place < CHILDREN_MAX && children[place].pid) place++;
  int failed[2], cause = 0;
  if (place == CHILDREN_MAX) return EAGAIN;
  if (pipe2(failed, O_CLOEXEC)) return errno;
  pid_t pid = fork();
  if (pid == 0) run(control, output, directory, words, variables, failed[1]);
  if (pid < 0) cause = errno;
  close(failed[1]);
  if (pid > 0 && read(failed[0], &cause, sizeof cause) > 0) waitpid(pid, NULL, 0);
  close(failed[0]);
  if (cause == 0) children[place].pid = pid, children[place].id = id;
  return cause;
}

static void ended(pid_t pid, int status) {
  for (size_t i = 0; i < CHILDREN_MAX; i++) {
    if (children[i].pid != pid) continue;
    children[i].pid = 0;
    tell(EXITED, children[i].id, WIFEXITED(status) ? (unsigned char)WEXITSTATUS(status) : 0, WIFSIGNALED(status) ? (unsigned char)WTERMSIG(status) : 0);
  }
}

static void reap(int options) {
  int status;
  for (pid_t pid; (pid = waitpid(-1, &status, options)) > 0 || (pid < 0 && errno == EINTR);)
    if (pid > 0) ended(pid, status);
}

// Texts one after the other, each with its NUL; false when there are fewer.
static bool take_words(char **at, const char *end, size_t count, char **words) {
  if (count > WORDS_MAX) return false;
  for (size_t i = 0; i < count; i++) {
    char *stop = memchr(*at, 0, (size_t)(end - *at));
    if (!stop) return false;
    words[i] = *at;
    *at = stop + 1;
  }
  words[count] = NULL;
  return true;
}

// u32 id, u8 flags, two tokens, u16 arguments, u16 variables, then texts: the directory, the arguments, the variables.
static int spawn(char *payload, char *end) {
  static char *words[WORDS_MAX + 1], *variables[WORDS_MAX + 1];
  char *directory[2], *at = payload + 9 + 2 * TOKEN_BYTES;
  uint16_t counts[2];
  uint32_t id;
  if (end < at) return EINVAL;
  memcpy(&id, payload, sizeof id);
  memcpy(counts, at - 4, sizeof counts);
  if (counts[0] == 0 || !take_words(&at, end, 1, directory) || !take_words(&at, end, counts[0], words) || !take_words(&at, end, counts[1], variables))
    return EINVAL;
  int control = -1, pipes[2] = {-1, -1}, cause = 0;
  if (payload[4] & WITH_CONTROL && (control = dial(payload + 5)) < 0) return errno;
  if (payload[4] & WITH_OUTPUT) {
    if (pipe2(pipes, O_CLOEXEC)) cause = errno;
    else if (!carry(pipes[0], dial(payload + 5 + TOKEN_BYTES))) cause = EAGAIN;
  }
  if (!cause) cause = start(id, control, pipes[1], directory[0], words, variables);
  if (control >= 0) close(control);
  if (pipes[1] >= 0) close(pipes[1]);
  return cause;
}

// Everything inside but this process, and process 1 whom no signal from inside reaches.
static void clear(uint32_t id) {
  kill(-1, SIGKILL);
  reap(0);
  for (size_t i = 0; i < RELAYS_MAX; i++)
    if (relays[i]) drop(i);
  tell(CLEARED, id, 0, 0);
}

static void connect_inside(uint32_t id, uint16_t port, const char *token) {
  int inside = connect_to("169.254.100.1", port, false);
  if (inside < 0) inside = connect_to("127.0.0.1", port, false);
  int outside = inside < 0 ? -1 : dial(token);
  if (outside < 0) {
    if (inside >= 0) close(inside);
    tell(NOT_CONNECTED, id, 0, 0);
    return;
  }
  int other[2] = {fcntl(inside, F_DUPFD_CLOEXEC, CONTROL + 1), fcntl(outside, F_DUPFD_CLOEXEC, CONTROL + 1)};
  carry(inside, outside);
  carry(other[1], other[0]);
}

static void obey(char *frame, size_t size) {
  uint32_t id;
  uint16_t port;
  if (size < 5) _exit(1);
  memcpy(&id, frame + 1, sizeof id);
  if (frame[0] == SPAWN) {
    int cause = spawn(frame + 1, frame + size);
    if (cause) tell(NOT_SPAWNED, id, (unsigned char)cause, 0);
  } else if (frame[0] == SIGNAL && size == 6) {
    for (size_t i = 0; i < CHILDREN_MAX; i++)
      if (children[i].pid && children[i].id == id) kill(children[i].pid, frame[5]);
  } else if (frame[0] == CLEAR) clear(id);
  else if (frame[0] == CONNECT && size == 7 + TOKEN_BYTES) {
    memcpy(&port, frame + 5, sizeof port);
    connect_inside(id, port, frame + 7);
  }
}

static void take_commands(void) {
  ssize_t size = read(channel, input + input_size, sizeof input - input_size);
  if (size < 0 && can_wait()) return;
  if (size <= 0) _exit(0);
  input_size += (size_t)size;
  size_t at = 0;
  for (uint32_t length; input_size - at >= 4; at += 4 + length) {
    memcpy(&length, input + at, 4);
    if (length > FRAME_BYTES_MAX) _exit(1);
    if (input_size - at - 4 < length) break;
    obey(input + at + 4, length);
  }
  memmove(input, input + at, input_size -= at);
}

static void turn(const sigset_t *awake) {
  struct pollfd ready[1 + RELAYS_MAX] = {{.fd = channel, .events = POLLIN}};
  size_t of[1 + RELAYS_MAX], count = 1;
  for (size_t i = 0; i < RELAYS_MAX; i++) {
    if (!relays[i]) continue;
    bool is_full = relays[i]->end > 0;
    of[count] = i;
    ready[count++] = (struct pollfd){.fd = is_full ? relays[i]->to : relays[i]->from, .events = is_full ? POLLOUT : POLLIN};
  }
  if (ppoll(ready, count, NULL, awake) > 0) {
    for (size_t i = 1; i < count; i++)
      if (ready[i].revents) move(of[i]);
    if (ready[0].revents) take_commands();
  }
  reap(WNOHANG);
}

int main(int count, char **words) {
  if (count < 2) return 1;
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  sigset_t blocked, awake;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGCHLD);
  sigprocmask(SIG_BLOCK, &blocked, &awake);
  sigaction(SIGCHLD, &(struct sigaction){.sa_handler = on_child}, NULL);
  signal(SIGPIPE, SIG_IGN);
  server_port = (uint16_t)strtoul(words[1], NULL, 10);
  if ((channel = connect_to("127.0.0.1", server_port, true)) < 0) return 1;
  int cause = count > 2 ? start(0, CONTROL, -1, NULL, words + 2, environ) : 0;
  // The control socket's end is the main process's end; its number stays taken, so that nothing else gets it.
  int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (nothing < 0 || dup3(nothing, CONTROL, O_CLOEXEC) < 0) return 1;
  close(nothing);
  if (cause) tell(NOT_SPAWNED, 0, (unsigned char)cause, 0);
  for (;;) turn(&awake);
}
