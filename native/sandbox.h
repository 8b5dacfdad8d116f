// Making one sandbox: what runs in its first process before the function's own code.
#ifndef LAMBENT_SANDBOX_H
#define LAMBENT_SANDBOX_H

#include "request.h"

#include <stdbool.h>
#include <sys/types.h>

// Descriptors that the launcher made for the sandbox.
struct sandbox_descriptors {
  int control;  // becomes 3
  int output;   // becomes 1 and 2
  int report;   // sequenced packets to the launcher: 'L' + port brings a listener, 'D' + port a socket for datagrams, 'M' the mount namespace of a prepared sandbox,
                // 'S' says that the first process runs, 'X' + code + signal how it ended, 'E' + reason that a layer could not be made
  int gateway;  // to the internet, or -1
};

// Runs as process 1 of a new pid namespace; never returns. Reports a reason and ends with 111 when a layer can't be made.
__attribute__((noreturn)) void sandbox_main(const struct request *request, const struct sandbox_descriptors *descriptors);

// Each returns 0 or a reason; errno has the cause. Once, in the launcher: its own mount namespace and what all sandboxes share.
const char *filesystem_prepare(const struct request *request);
const char *filesystem_enter(const struct request *request);
// In the launcher: the requested mounts and the size of /tmp, in a prepared sandbox.
const char *filesystem_add(int mount_namespace, const struct request *request);
const char *network_up(void);
// A listening socket on every address of the namespace, or -1.
int network_listen(uint16_t port);
// A socket for datagrams, on the address of AWS's daemons only, or -1.
int network_receive(uint16_t port);

#endif
