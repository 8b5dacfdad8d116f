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

// Where AWS puts the Runtime API: a second address of the loopback interface.
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

int network_listen(uint16_t port) {
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  int one = 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_ANY)};
  if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) ||
      bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 128)) {
    if (listener >= 0) close(listener);
    return -1;
  }
  return listener;
}
