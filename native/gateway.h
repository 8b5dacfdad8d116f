// The launcher's gateway: a network namespace between its sandboxes and the internet.
#ifndef LAMBENT_GATEWAY_H
#define LAMBENT_GATEWAY_H

#include "sandbox.h"

// The launcher's descriptor of the namespace: the server reaches it as /proc/PID/fd/9.
enum { GATEWAY = 9 };

// Makes the namespace, once, in the launcher. Returns 0 or a reason; errno has the cause.
const char *gateway_create(void);

// Enters it; a netlink socket that stays there when the caller goes on into a namespace of its own, or -1.
int gateway_enter(int gateway);

// Connects the caller's namespace, in which there is nothing but loopback yet: 198.18.0.0 + slot is its address.
const char *gateway_connect(int netlink, unsigned slot);

#endif
