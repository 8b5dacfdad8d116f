// The system calls that code in a sandbox may make.
#ifndef LAMBENT_SECCOMP_H
#define LAMBENT_SECCOMP_H

// Compiles the filter once, before any sandbox needs it. Returns 0 or a reason.
const char *seccomp_prepare(void);
// Installs it in the calling process; irreversible. 0 on success.
int seccomp_install(void);

#endif
