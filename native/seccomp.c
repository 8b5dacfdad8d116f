// The filter of system calls: the server spells it out (src/sandbox/linux/system-call-filter.ts), and the kernel checks it.
#include "seccomp.h"
#include "request.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct sock_filter program[FILTER_BYTES_MAX / INSTRUCTION_BYTES];
static unsigned short length;

void seccomp_keep(const char *given, size_t size) {
  memcpy(program, given, size);
  length = (unsigned short)(size / sizeof *program);
}

int seccomp_install(void) {
  if (length == 0) return errno = ENOEXEC, -1;
  struct sock_fprog filter = {length, program};
  return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter);
}
