// Control groups of sandboxes, on version 1, hybrid and version 2 hosts.
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

// Finds the hierarchies, removes what dead launchers left, makes this launcher's own directories. Returns 0 or a reason.
const char *cgroup_init(void);

// Makes the sandbox's directories and writes its limits. Returns 0 or a reason; then nothing of it is left.
const char *cgroup_create(const char *name, const struct cgroup_limits *limits);
// Changes the share of CPU of a running sandbox.
const char *cgroup_limit_cpu(const char *name, uint64_t cpu_millis);
const char *cgroup_attach(const char *name, pid_t pid);
const char *cgroup_freeze(const char *name, bool frozen);
// Highest memory use so far in bytes; 0 when it can't be read.
uint64_t cgroup_memory_peak(const char *name);
// Whether the kernel has ended a process because of the memory limit.
bool cgroup_was_out_of_memory(const char *name);
// Removes the sandbox's directories; false while a process is still being torn down.
bool cgroup_remove(const char *name);
// Removes this launcher's own directories.
void cgroup_exit(void);

#endif
