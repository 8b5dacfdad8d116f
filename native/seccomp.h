// The system calls that code in a sandbox may make.
#ifndef LAMBENT_SECCOMP_H
#define LAMBENT_SECCOMP_H

#include <stddef.h>

// Takes a copy of the program, once, before any sandbox needs it: `size` is a multiple of INSTRUCTION_BYTES, at most FILTER_BYTES_MAX.
void seccomp_keep(const char *program, size_t size);
// Installs it in the calling process; irreversible. 0 on success; without a program it fails.
int seccomp_install(void);

#endif
