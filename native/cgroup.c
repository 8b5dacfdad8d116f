// Control groups: one directory lambent-PID-STARTTIME-PIDNAMESPACE per hierarchy, one below it per sandbox.
#include "cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// 20 ms: short enough that a small share does not stall a request for long, long enough that the scheduler's slices fit.
enum { CPU_PERIOD_US = 20000, CPU_QUOTA_US_MIN = 1000, HIERARCHIES_MAX = 8, DIRECTORY_BYTES = 1024, PATH_BYTES = DIRECTORY_BYTES + 128 };

struct hierarchy {
  char directory[DIRECTORY_BYTES];  // this launcher's own
  char roles[5];                    // letters, as in cgroup.h
  bool is_v2;
};

static struct hierarchy hierarchies[HIERARCHIES_MAX];
static size_t hierarchy_count;

static bool read_file(const char *path, char *text, size_t size) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  ssize_t length = read(file, text, size - 1);
  close(file);
  text[length < 0 ? 0 : length] = 0;
  return length >= 0;
}

static bool write_file(const char *path, const char *text) {
  int file = open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0) return false;
  ssize_t written = write(file, text, strlen(text));
  int cause = errno;
  close(file);
  errno = cause;
  return written == (ssize_t)strlen(text);
}

static void path_of(char *path, const struct hierarchy *in, const char *name, const char *file) {
  snprintf(path, PATH_BYTES, "%s/%s%s%s", in->directory, name, file ? "/" : "", file ? file : "");
}

static bool write_number(const struct hierarchy *in, const char *name, const char *file, uint64_t number) {
  char path[PATH_BYTES], text[32];
  path_of(path, in, name, file);
  snprintf(text, sizeof text, "%llu", (unsigned long long)number);
  return write_file(path, text);
}

static bool has(const struct hierarchy *in, char role) { return strchr(in->roles, role) != NULL; }

static const struct hierarchy *find(char role) {
  for (size_t i = 0; i < hierarchy_count; i++)
    if (has(&hierarchies[i], role)) return &hierarchies[i];
  return NULL;
}

static const struct hierarchy *hierarchy_with(char role) {
  const struct hierarchy *found = find(role);
  if (!found) abort();  // without one for each role nothing has started
  return found;
}

// Tells this process from any other that has had its number, or will.
static unsigned long long own_start_time(void) {
  char text[1024];
  unsigned long long started = 0;
  char *after_name = read_file("/proc/self/stat", text, sizeof text) ? strrchr(text, ')') : NULL;
  // Field 22; the name in field 2 may hold spaces, so counting begins behind its bracket.
  if (after_name) sscanf(after_name + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", &started);
  return started;
}

static bool add_hierarchy(const char *word) {
  struct stat pids;
  size_t head = strcspn(word, "/");
  struct hierarchy *added = &hierarchies[hierarchy_count];
  errno = EINVAL;
  if (hierarchy_count == HIERARCHIES_MAX || head < 2 || head > sizeof added->roles || !word[head] || stat("/proc/self/ns/pid", &pids)) return false;
  int size = snprintf(added->directory, DIRECTORY_BYTES, "%s/lambent-%d-%llu-%llu", word + head, getpid(), own_start_time(), (unsigned long long)pids.st_ino);
  memcpy(added->roles, word + 1, head - 1);
  added->is_v2 = word[0] == '2';
  errno = ENAMETOOLONG;
  return size < DIRECTORY_BYTES && ++hierarchy_count;
}

// For what is below it: a version 2 group says which of its controllers its children have.
static bool enable_controllers(const struct hierarchy *in) {
  char path[PATH_BYTES];
  path_of(path, in, "cgroup.subtree_control", NULL);
  return (!has(in, 'm') || write_file(path, "+memory")) && (!has(in, 'c') || write_file(path, "+cpu")) && (!has(in, 'p') || write_file(path, "+pids"));
}

static const char *make_own(const struct hierarchy *in) {
  static char reason[DIRECTORY_BYTES + 128];
  const char *failed = NULL;
  if (mkdir(in->directory, 0755)) failed = "can't make the control group";
  else if (in->is_v2 && !enable_controllers(in)) failed = "can't limit memory, CPU and processes below the control group";
  if (failed) snprintf(reason, sizeof reason, "%s %s", failed, in->directory);
  return failed ? reason : NULL;
}

const char *cgroup_init(char **words, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (!add_hierarchy(words[i])) return "a hierarchy of control groups";
    const char *failed = make_own(&hierarchies[i]);
    if (failed) return failed;
  }
  for (const char *role = "mcpf"; *role; role++)
    if (!find(*role)) return errno = EINVAL, "control groups for memory, CPU, processes and freezing are needed";
  return NULL;
}

void cgroup_exit(void) {
  for (size_t i = 0; i < hierarchy_count; i++) rmdir(hierarchies[i].directory);
}

static bool limit_memory(const struct hierarchy *in, const char *name, uint64_t bytes) {
  if (in->is_v2) return write_number(in, name, "memory.max", bytes) && (write_number(in, name, "memory.swap.max", 0) || errno == ENOENT);
  // Memory and swap together, so that a full sandbox is not swapped out instead of ended; absent where swap is not accounted. The first may
  // not be above the second: a limit that rises is written once more after it.
  bool is_written = write_number(in, name, "memory.limit_in_bytes", bytes);
  return (write_number(in, name, "memory.memsw.limit_in_bytes", bytes) || errno == ENOENT) &&
         (is_written || write_number(in, name, "memory.limit_in_bytes", bytes));
}

static bool limit_cpu(const struct hierarchy *in, const char *name, uint64_t millis) {
  uint64_t quota = millis * CPU_PERIOD_US / 1000;
  if (quota < CPU_QUOTA_US_MIN) quota = CPU_QUOTA_US_MIN;
  if (!in->is_v2)
    return write_number(in, name, "cpu.cfs_period_us", CPU_PERIOD_US) && write_number(in, name, "cpu.cfs_quota_us", quota) &&
           write_number(in, name, "cpu.shares", millis < 2 ? 2 : millis);
  char path[PATH_BYTES], text[64];
  path_of(path, in, name, "cpu.max");
  snprintf(text, sizeof text, "%llu %d", (unsigned long long)quota, CPU_PERIOD_US);
  return write_file(path, text) && write_number(in, name, "cpu.weight", millis / 10 < 1 ? 1 : millis / 10 > 10000 ? 10000 : millis / 10);
}

static bool write_limits(const struct hierarchy *in, const char *name, const struct cgroup_limits *limits) {
  return (!has(in, 'm') || limit_memory(in, name, limits->memory_bytes)) && (!has(in, 'c') || limit_cpu(in, name, limits->cpu_millis)) &&
         (!has(in, 'p') || write_number(in, name, "pids.max", limits->processes_max));
}

static const char *create_in(const struct hierarchy *in, const char *name, const struct cgroup_limits *limits) {
  static char reason[PATH_BYTES + 64];
  char path[PATH_BYTES];
  path_of(path, in, name, NULL);
  if (mkdir(path, 0755) == 0 && write_limits(in, name, limits)) return NULL;
  snprintf(reason, sizeof reason, "control group %s", path);
  return reason;
}

const char *cgroup_create(const char *name, const struct cgroup_limits *limits, int *into) {
  char path[PATH_BYTES];
  *into = -1;
  for (size_t i = 0; i < hierarchy_count; i++) {
    if (!hierarchies[i].is_v2) continue;
    const char *failed = create_in(&hierarchies[i], name, limits);
    if (failed) return failed;
    path_of(path, &hierarchies[i], name, NULL);
    *into = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*into < 0) return "opening the control group";  // a sandbox must not begin outside of it
  }
  return NULL;
}

// A process that moves itself, alone, takes no lock that the whole machine shares: moving another's costs 5 to 20 ms after a pause.
const char *cgroup_join(const char *name, const struct cgroup_limits *limits) {
  for (size_t i = 0; i < hierarchy_count; i++) {
    if (hierarchies[i].is_v2) continue;
    const char *failed = create_in(&hierarchies[i], name, limits);
    if (failed) return failed;
    if (!write_number(&hierarchies[i], name, "tasks", 0)) return "joining the control groups";
  }
  return NULL;
}

const char *cgroup_limit(const char *name, const struct cgroup_limits *limits) {
  for (size_t i = 0; i < hierarchy_count; i++)
    if (!write_limits(&hierarchies[i], name, limits)) return "limits of the control groups";
  return NULL;
}

const char *cgroup_limit_cpu(const char *name, uint64_t cpu_millis) {
  return limit_cpu(hierarchy_with('c'), name, cpu_millis) ? NULL : "can't limit the CPU";
}

size_t cgroup_processes(const char *name) {
  char path[PATH_BYTES];
  path_of(path, hierarchy_with('f'), name, "cgroup.procs");
  FILE *members = fopen(path, "re");
  size_t count = 0;
  for (int pid; members && fscanf(members, "%d", &pid) == 1;) count++;
  if (members) fclose(members);
  return count;
}

const char *cgroup_freeze(const char *name, bool frozen) {
  const struct hierarchy *in = hierarchy_with('f');
  char path[PATH_BYTES];
  path_of(path, in, name, in->is_v2 ? "cgroup.freeze" : "freezer.state");
  const char *text = in->is_v2 ? (frozen ? "1" : "0") : (frozen ? "FROZEN" : "THAWED");
  return write_file(path, text) ? NULL : "can't freeze or thaw";
}

void cgroup_let_die(const char *name) {
  if (!hierarchy_with('f')->is_v2) cgroup_freeze(name, false);
}

static uint64_t number_after(const char *text, const char *key) {
  const char *found = strstr(text, key);
  return found ? strtoull(found + strlen(key), NULL, 10) : 0;
}

uint64_t cgroup_memory_peak(const char *name) {
  const struct hierarchy *in = hierarchy_with('m');
  char path[PATH_BYTES], text[256];
  path_of(path, in, name, in->is_v2 ? "memory.peak" : "memory.max_usage_in_bytes");
  if (!read_file(path, text, sizeof text)) path_of(path, in, name, "memory.current");
  return read_file(path, text, sizeof text) ? strtoull(text, NULL, 10) : 0;
}

uint64_t cgroup_memory_kills(const char *name) {
  const struct hierarchy *in = hierarchy_with('m');
  char path[PATH_BYTES], text[512];
  path_of(path, in, name, in->is_v2 ? "memory.events" : "memory.oom_control");
  return read_file(path, text, sizeof text) ? number_after(text, "oom_kill ") : 0;
}

bool cgroup_remove(const char *name) {
  bool is_gone = true;
  char path[PATH_BYTES];
  for (size_t i = 0; i < hierarchy_count; i++) {
    path_of(path, &hierarchies[i], name, NULL);
    if (rmdir(path) && errno != ENOENT) is_gone = false;
  }
  return is_gone;
}
