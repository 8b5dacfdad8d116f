// The sandbox's network namespace: a loopback interface, and listeners whose descriptors go to the server. There is no way out.
#include "sandbox.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

// What the server has not read yet of one sandbox's datagrams; more is lost. The kernel allows twice as much, for its own needs.
enum { DATAGRAM_QUEUE_BYTES = 256 << 10 };

// Where AWS puts the Runtime API and the X-Ray daemon: a second address of the loopback interface.
static const char *const RUNTIME_ADDRESS = "169.254.100.1";

static void set_address(struct sockaddr *to, const char *text) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  inet_pton(AF_INET, text, &address.sin_addr);
  memcpy(to, &address, sizeof address);
}

static bool add_address(int control) {
  struct ifreq request = {0};
  snprintf(request.ifr_name, sizeof request.ifr_name, "lo:1");
  set_address(&request.ifr_addr, RUNTIME_ADDRESS);
  if (ioctl(control, SIOCSIFADDR, &request)) return false;
  set_address(&request.ifr_netmask, "255.255.255.255");
  return ioctl(control, SIOCSIFNETMASK, &request) == 0;
}

const char *network_up(void) {
  int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  struct ifreq request = {0};
  snprintf(request.ifr_name, sizeof request.ifr_name, "lo");
  request.ifr_flags = IFF_UP | IFF_RUNNING | IFF_LOOPBACK;
  bool is_up = control >= 0 && ioctl(control, SIOCSIFFLAGS, &request) == 0 && add_address(control);
  if (control >= 0) close(control);
  return is_up ? NULL : "loopback interface";
}

static int open_port(int type, const char *host, uint16_t port) {
  struct sockaddr_in address;
  set_address((struct sockaddr *)&address, host);
  address.sin_port = htons(port);
  int made = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1, queue = DATAGRAM_QUEUE_BYTES;
  bool is_open = made >= 0 && setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
                 bind(made, (struct sockaddr *)&address, sizeof address) == 0 &&
                 (type == SOCK_STREAM ? listen(made, 128) : setsockopt(made, SOL_SOCKET, SO_RCVBUF, &queue, sizeof queue)) == 0;
  if (is_open) return made;
  if (made >= 0) close(made);
  return -1;
}

int network_listen(uint16_t port) { return open_port(SOCK_STREAM, "0.0.0.0", port); }

int network_receive(uint16_t port) { return open_port(SOCK_DGRAM, RUNTIME_ADDRESS, port); }
