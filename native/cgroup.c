// Control groups: one directory lambent-PID-STARTTIME-PIDNAMESPACE per hierarchy, one below it per sandbox.
#include "cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// 20 ms: short enough that a small share does not stall a request for long, long enough that the scheduler's slices fit.
enum { CPU_PERIOD_US = 20000, CPU_QUOTA_US_MIN = 1000, HIERARCHIES_MAX = 8, PATH_MAX_BYTES = 512 };

enum role { ROLE_MEMORY = 1, ROLE_CPU = 2, ROLE_PIDS = 4, ROLE_FREEZER = 8 };

struct hierarchy {
  char directory[256];
  unsigned roles;
  bool is_v2;
};

static struct hierarchy hierarchies[HIERARCHIES_MAX];
static size_t hierarchy_count;
static char own_name[96];
static unsigned long long pid_namespace;

static unsigned roles_of(const char *options) {
  unsigned roles = 0;
  char copy[256];
  snprintf(copy, sizeof copy, "%s", options);
  for (char *rest, *word = strtok_r(copy, ", \n", &rest); word; word = strtok_r(NULL, ", \n", &rest)) {
    if (!strcmp(word, "memory")) roles |= ROLE_MEMORY;
    if (!strcmp(word, "cpu")) roles |= ROLE_CPU;
    if (!strcmp(word, "pids")) roles |= ROLE_PIDS;
    if (!strcmp(word, "freezer")) roles |= ROLE_FREEZER;
  }
  return roles;
}

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
  snprintf(path, PATH_MAX_BYTES, "%s/%s%s%s%s%s", in->directory, own_name, name ? "/" : "", name ? name : "", file ? "/" : "", file ? file : "");
}

static bool write_number(const struct hierarchy *in, const char *name, const char *file, uint64_t number) {
  char path[PATH_MAX_BYTES], text[32];
  path_of(path, in, name, file);
  snprintf(text, sizeof text, "%llu", (unsigned long long)number);
  return write_file(path, text);
}

// A hierarchy may be mounted in several places (for a chroot, say): it is the same one, and a controller is in one only.
static bool is_known(bool is_v2, unsigned roles) {
  for (size_t i = 0; i < hierarchy_count; i++)
    if (is_v2 ? hierarchies[i].is_v2 : !hierarchies[i].is_v2 && hierarchies[i].roles & roles) return true;
  return false;
}

static void add_hierarchy(const char *directory, bool is_v2, unsigned roles) {
  if (hierarchy_count == HIERARCHIES_MAX || strlen(directory) >= sizeof hierarchies[0].directory) return;
  struct hierarchy *added = &hierarchies[hierarchy_count++];
  snprintf(added->directory, sizeof added->directory, "%s", directory);
  added->is_v2 = is_v2;
  added->roles = roles;
}

// The child of a version 2 group that its processes move to. Who starts the next server is in it already.
#define MEMBERS "/lambent-server"

// Where this process is in a hierarchy, as the hierarchy's mount shows it: a user's own part of the tree.
static void own_parent(const char *wanted, char *parent, size_t size) {
  char line[512];
  FILE *groups = fopen("/proc/self/cgroup", "re");
  parent[0] = 0;
  while (groups && fgets(line, sizeof line, groups)) {
    char *names = strchr(line, ':'), *path = names ? strchr(names + 1, ':') : NULL;
    if (!path) continue;
    *path++ = 0;
    path[strcspn(path, "\n")] = 0;
    bool is_it = *wanted ? roles_of(names + 1) == roles_of(wanted) : names[1] == 0;
    if (is_it && strcmp(path, "/")) snprintf(parent, size, "%s", path);
  }
  if (groups) fclose(groups);
  char *last = strrchr(parent, '/');
  if (last && !strcmp(last, MEMBERS)) *last = 0;
}

// For the children of a version 2 group; false when they don't get all of them.
static bool enable_v2(const char *directory, unsigned roles) {
  char path[PATH_MAX_BYTES];
  snprintf(path, sizeof path, "%s/cgroup.subtree_control", directory);
  return (!(roles & ROLE_MEMORY) || write_file(path, "+memory")) && (!(roles & ROLE_CPU) || write_file(path, "+cpu")) &&
         (!(roles & ROLE_PIDS) || write_file(path, "+pids"));
}

// Moves who is in `directory` to its child; how many there were.
static int move_members(const char *directory) {
  char path[PATH_MAX_BYTES];
  int count = 0;
  snprintf(path, sizeof path, "%s/cgroup.procs", directory);
  FILE *members = fopen(path, "re");
  snprintf(path, sizeof path, "%s" MEMBERS "/cgroup.procs", directory);
  for (char pid[32]; members && fscanf(members, "%31s", pid) == 1; count++) write_file(path, pid);
  if (members) fclose(members);
  return count;
}

// Below the root, a version 2 group has either processes or children with limits: those that are there move to a child of their own.
static void make_room(const char *directory) {
  char path[PATH_MAX_BYTES];
  snprintf(path, sizeof path, "%s/cgroup.type", directory);
  if (access(path, F_OK)) return;  // the root has no type
  snprintf(path, sizeof path, "%s" MEMBERS, directory);
  mkdir(path, 0755);
  for (int tries = 0; tries < 100 && move_members(directory) > 0; tries++) continue;  // one of them may just have forked
}

// The version 2 tree can always freeze; which limits it has depends on what version 1 did not take.
static unsigned prepare_v2(const char *directory) {
  char path[PATH_MAX_BYTES], controllers[256] = "";
  snprintf(path, sizeof path, "%s/cgroup.controllers", directory);
  read_file(path, controllers, sizeof controllers);
  unsigned roles = roles_of(controllers) & (ROLE_MEMORY | ROLE_CPU | ROLE_PIDS);
  if (roles) make_room(directory);
  if (roles) enable_v2(directory, roles);
  return roles | ROLE_FREEZER;
}

static void find_hierarchies(const char *parent) {
  FILE *mounts = setmntent("/proc/self/mounts", "re");
  char line[4096], own[256], whole[512];  // a longer line, as an image of many layers has it, is cut: it is none of these
  struct mntent mount;
  while (mounts && getmntent_r(mounts, &mount, line, sizeof line)) {
    bool is_v2 = !strcmp(mount.mnt_type, "cgroup2");
    unsigned roles = roles_of(mount.mnt_opts);
    if (!is_v2 && (strcmp(mount.mnt_type, "cgroup") || !roles)) continue;
    if (is_known(is_v2, roles)) continue;
    own[0] = 0;
    if (parent) snprintf(own, sizeof own, "%s", parent);
    else if (geteuid()) own_parent(is_v2 ? "" : mount.mnt_opts, own, sizeof own);
    snprintf(whole, sizeof whole, "%s%s", mount.mnt_dir, own);
    add_hierarchy(whole, is_v2, is_v2 ? prepare_v2(whole) : roles);
  }
  if (mounts) endmntent(mounts);
}

// A version 1 freezer is of no use beside a version 2 tree, which is quicker and lets frozen processes be killed.
static void drop_v1_freezer(void) {
  bool has_v2 = false;
  for (size_t i = 0; i < hierarchy_count; i++) has_v2 |= hierarchies[i].is_v2;
  for (size_t i = hierarchy_count; has_v2 && i-- > 0;)
    if (!hierarchies[i].is_v2 && !(hierarchies[i].roles &= ~(unsigned)ROLE_FREEZER)) hierarchies[i] = hierarchies[--hierarchy_count];
}

// 0: nobody has this number, or only because nobody has taken note of its end.
static unsigned long long start_time_of(pid_t pid) {
  char path[64], text[1024];
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  if (!read_file(path, text, sizeof text)) return 0;
  char *after_name = strrchr(text, ')');
  unsigned long long started = 0;
  char state = 0;
  // Fields 3 and 22; the name in field 2 may hold spaces, so counting begins behind its bracket.
  if (after_name) sscanf(after_name + 2, "%c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", &state, &started);
  return state == 'Z' || state == 'X' ? 0 : started;
}

// One whom this pid namespace does not have is shown as 0, which for kill is everybody in our own process group.
static void kill_members(const char *directory) {
  char path[PATH_MAX_BYTES];
  snprintf(path, sizeof path, "%s/cgroup.procs", directory);
  FILE *members = fopen(path, "re");
  for (int pid; members && fscanf(members, "%d", &pid) == 1;)
    if (pid > 0) kill(pid, SIGKILL);
  if (members) fclose(members);
}

// What has died leaves its group a moment later.
static void remove_soon(const char *directory) {
  for (int tries = 0; rmdir(directory) && errno == EBUSY && tries < 500; tries++) usleep(1000);
}

// What a launcher left that was killed: its sandboxes have died with it.
static void sweep_directory(const char *directory) {
  DIR *entries = opendir(directory);
  for (struct dirent *entry; entries && (entry = readdir(entries));) {
    if (entry->d_type != DT_DIR || entry->d_name[0] == '.') continue;
    char path[PATH_MAX_BYTES];
    snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
    kill_members(path);
    remove_soon(path);
  }
  if (entries) closedir(entries);
  remove_soon(directory);
}

// Of another pid namespace, a container's say, nobody here can tell who lives: what that one's launchers have is theirs to sweep.
static void sweep(const struct hierarchy *in) {
  DIR *entries = opendir(in->directory);
  for (struct dirent *entry; entries && (entry = readdir(entries));) {
    int pid;
    unsigned long long started, in_namespace;
    if (sscanf(entry->d_name, "lambent-%d-%llu-%llu", &pid, &started, &in_namespace) != 3) continue;
    if (in_namespace != pid_namespace || start_time_of(pid) == started) continue;
    char path[PATH_MAX_BYTES];
    snprintf(path, sizeof path, "%s/%s", in->directory, entry->d_name);
    sweep_directory(path);
  }
  if (entries) closedir(entries);
}

static const char *check_roles(void) {
  unsigned roles = 0;
  for (size_t i = 0; i < hierarchy_count; i++) roles |= hierarchies[i].roles;
  if (!(roles & ROLE_MEMORY)) return "no memory control group: limits on memory can't be enforced";
  if (!(roles & ROLE_CPU)) return "no cpu control group: limits on CPU can't be enforced";
  if (!(roles & ROLE_PIDS)) return "no pids control group: limits on processes can't be enforced";
  if (!(roles & ROLE_FREEZER)) return "no freezer: idle sandboxes can't be frozen";
  return NULL;
}

static const char *make_own(const struct hierarchy *in) {
  static char reason[PATH_MAX_BYTES + 128];
  char path[PATH_MAX_BYTES];
  path_of(path, in, NULL, NULL);
  if (mkdir(path, 0755)) snprintf(reason, sizeof reason, "can't make the control group %s", path);
  else if (in->is_v2 && !enable_v2(path, in->roles)) snprintf(reason, sizeof reason, "can't limit memory, CPU and processes below the control group %s", path);
  else return NULL;
  return reason;
}

const char *cgroup_init(const char *parent) {
  struct stat found;
  if (stat("/proc/self/ns/pid", &found)) return "the pid namespace";
  pid_namespace = found.st_ino;
  snprintf(own_name, sizeof own_name, "lambent-%d-%llu-%llu", getpid(), start_time_of(getpid()), pid_namespace);
  find_hierarchies(parent);
  drop_v1_freezer();
  const char *missing = check_roles();
  for (size_t i = 0; i < hierarchy_count && !missing; i++) {
    sweep(&hierarchies[i]);
    missing = make_own(&hierarchies[i]);
  }
  int cause = errno;
  if (missing) cgroup_exit();
  errno = cause;
  return missing;
}

void cgroup_exit(void) {
  char path[PATH_MAX_BYTES];
  for (size_t i = 0; i < hierarchy_count; i++) {
    path_of(path, &hierarchies[i], NULL, NULL);
    rmdir(path);
  }
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
  char path[PATH_MAX_BYTES], text[64];
  path_of(path, in, name, "cpu.max");
  snprintf(text, sizeof text, "%llu %d", (unsigned long long)quota, CPU_PERIOD_US);
  return write_file(path, text) && write_number(in, name, "cpu.weight", millis / 10 < 1 ? 1 : millis / 10 > 10000 ? 10000 : millis / 10);
}

static bool write_limits(const struct hierarchy *in, const char *name, const struct cgroup_limits *limits) {
  return (!(in->roles & ROLE_MEMORY) || limit_memory(in, name, limits->memory_bytes)) && (!(in->roles & ROLE_CPU) || limit_cpu(in, name, limits->cpu_millis)) &&
         (!(in->roles & ROLE_PIDS) || write_number(in, name, "pids.max", limits->processes_max));
}

static const char *create_in(const struct hierarchy *in, const char *name, const struct cgroup_limits *limits) {
  static char reason[PATH_MAX_BYTES + 64];
  char path[PATH_MAX_BYTES];
  path_of(path, in, name, NULL);
  if (mkdir(path, 0755) == 0 && write_limits(in, name, limits)) return NULL;
  snprintf(reason, sizeof reason, "control group %s", path);
  return reason;
}

const char *cgroup_create(const char *name, const struct cgroup_limits *limits, int *into) {
  char path[PATH_MAX_BYTES];
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

static const struct hierarchy *hierarchy_with(enum role role) {
  for (size_t i = 0; i < hierarchy_count; i++)
    if (hierarchies[i].roles & role) return &hierarchies[i];
  abort();  // without one for each role nothing has started
}

const char *cgroup_limit_cpu(const char *name, uint64_t cpu_millis) {
  return limit_cpu(hierarchy_with(ROLE_CPU), name, cpu_millis) ? NULL : "can't limit the CPU";
}

size_t cgroup_processes(const char *name) {
  char path[PATH_MAX_BYTES];
  path_of(path, hierarchy_with(ROLE_FREEZER), name, "cgroup.procs");
  FILE *members = fopen(path, "re");
  size_t count = 0;
  for (int pid; members && fscanf(members, "%d", &pid) == 1;) count++;
  if (members) fclose(members);
  return count;
}

const char *cgroup_freeze(const char *name, bool frozen) {
  const struct hierarchy *in = hierarchy_with(ROLE_FREEZER);
  char path[PATH_MAX_BYTES];
  path_of(path, in, name, in->is_v2 ? "cgroup.freeze" : "freezer.state");
  const char *text = in->is_v2 ? (frozen ? "1" : "0") : (frozen ? "FROZEN" : "THAWED");
  return write_file(path, text) ? NULL : "can't freeze or thaw";
}

void cgroup_let_die(const char *name) {
  if (!hierarchy_with(ROLE_FREEZER)->is_v2) cgroup_freeze(name, false);
}

static uint64_t number_after(const char *text, const char *key) {
  const char *found = strstr(text, key);
  return found ? strtoull(found + strlen(key), NULL, 10) : 0;
}

uint64_t cgroup_memory_peak(const char *name) {
  const struct hierarchy *in = hierarchy_with(ROLE_MEMORY);
  char path[PATH_MAX_BYTES], text[256];
  path_of(path, in, name, in->is_v2 ? "memory.peak" : "memory.max_usage_in_bytes");
  if (!read_file(path, text, sizeof text)) path_of(path, in, name, "memory.current");
  return read_file(path, text, sizeof text) ? strtoull(text, NULL, 10) : 0;
}

uint64_t cgroup_memory_kills(const char *name) {
  const struct hierarchy *in = hierarchy_with(ROLE_MEMORY);
  char path[PATH_MAX_BYTES], text[512];
  path_of(path, in, name, in->is_v2 ? "memory.events" : "memory.oom_control");
  return read_file(path, text, sizeof text) ? number_after(text, "oom_kill ") : 0;
}

bool cgroup_remove(const char *name) {
  bool is_gone = true;
  char path[PATH_MAX_BYTES];
  for (size_t i = 0; i < hierarchy_count; i++) {
    path_of(path, &hierarchies[i], name, NULL);
    if (rmdir(path) && errno != ENOENT) is_gone = false;
  }
  return is_gone;
}
