// Control groups of sandboxes, on version 1, hybrid and version 2 hosts. Which hierarchies there are is for the server to find.
#ifndef LAMBENT_CGROUP_H
#define LAMBENT_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct cgroup_limits {
  uint64_t memory_bytes;
  uint64_t cpu_millis;
  uint64_t processes_max;
};

// Makes this launcher's own directory in each hierarchy that the server has found: a word for each has its version, its roles (m: memory, c: CPU,
// p: processes, f: freezing) and where that directory is to be, as "2mcpf/sys/fs/cgroup". Returns 0 or a reason.
const char *cgroup_init(char **words, size_t count);

// In the launcher: makes the sandbox's version 2 directory with its limits; `into` becomes a descriptor for CLONE_INTO_CGROUP, or -1.
const char *cgroup_create(const char *name, const struct cgroup_limits *limits, int *into);
// In the sandbox's process 1: makes its version 1 directories with their limits, and joins them.
const char *cgroup_join(const char *name, const struct cgroup_limits *limits);
// Changes all limits of a sandbox that is there. Returns 0 or a reason.
const char *cgroup_limit(const char *name, const struct cgroup_limits *limits);
// Changes the share of CPU of a running sandbox.
const char *cgroup_limit_cpu(const char *name, uint64_t cpu_millis);
// How many processes are alive in it, frozen ones included.
size_t cgroup_processes(const char *name);
const char *cgroup_freeze(const char *name, bool frozen);
// Lets killed processes end where a freezer holds back even SIGKILL (version 1).
void cgroup_let_die(const char *name);
// Highest memory use so far in bytes; 0 when it can't be read.
uint64_t cgroup_memory_peak(const char *name);
// How many processes the kernel has ended because of the memory limit.
uint64_t cgroup_memory_kills(const char *name);
// Removes the sandbox's directories; false while a process is still being torn down.
bool cgroup_remove(const char *name);
// Removes this launcher's own directories.
void cgroup_exit(void);

#endif
